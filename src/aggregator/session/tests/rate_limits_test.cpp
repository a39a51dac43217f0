// What a client may send, and what becomes of one that sends more.
#include "aggregator/session/rate_limits.hpp"

#include "aggregator/session/tests/hub_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

constexpr steady_time noon{std::chrono::hours(12)};
constexpr std::string_view say = R"({"packet_action":"publish","channel":"chat","message":1})";
constexpr std::string_view leave = R"({"packet_action":"leave","channel":"chat"})";

// Ten frames, four messages and 10,000 octets a second, of which two seconds are saved up.
session_settings narrow() {
    session_settings config = two_channels();
    config.client = {
        .frames = 10, .octets = 10'000, .publishes = 4, .burst = seconds(2), .patience = seconds(30), .connections = 2};
    return config;
}

void send(hub_fixture& f, member from, std::string_view text, int times) {
    for (int i = 0; i < times; ++i) f.all.on_text(from, text);
}

TEST(rate_limits, who_has_sent_nothing_lately_has_no_account) {
    const session_settings config = narrow();
    rate_limits all(config, 7);
    EXPECT_FALSE(all.take_frame(all.key_of("a"), 10, noon));
    EXPECT_EQ(all.accounts(), 1u);
    all.sweep(noon, 10);
    EXPECT_EQ(all.accounts(), 1u) << "it is not full yet";
    all.sweep(noon + seconds(1), 10);
    EXPECT_EQ(all.accounts(), 0u);
}

TEST(rate_limits, accounts_are_bounded) {
    session_settings config = narrow();
    rate_limits all(config, 7);
    for (std::uint64_t i = 0; i < rate_limits::accounts_max + 10; ++i) (void)all.take_frame(i, 10, noon);
    EXPECT_EQ(all.accounts(), rate_limits::accounts_max);
    EXPECT_EQ(all.forgotten(), 10u);
}

TEST(rate_limits, without_limits_nothing_is_kept) {
    session_settings config = two_channels();
    config.client = {.frames = 0, .octets = 0, .publishes = 0};
    rate_limits all(config, 7);
    const std::vector<std::size_t> chat{0};
    for (int i = 0; i < 100'000; ++i) {
        ASSERT_FALSE(all.take_frame(1, 1'000'000, {}));
        ASSERT_FALSE(all.take_publishes(1, chat, {}));
    }
    EXPECT_EQ(all.accounts(), 0u);
}

TEST(rate_limits, a_client_with_limits_of_its_own_has_those_while_it_has_a_socket) {
    const session_settings config = narrow();
    rate_limits all(config, 7);
    const auto own = std::make_shared<client_limits>(config.client);
    own->publishes = 1;
    own->burst = seconds(1);
    const auto client = all.key_of("a");
    const std::vector<std::size_t> chat{0};
    all.enter(client, own);
    all.enter(client, own);
    EXPECT_FALSE(all.take_publishes(client, chat, noon));
    EXPECT_TRUE(all.take_publishes(client, chat, noon));
    EXPECT_FALSE(all.take_publishes(all.key_of("b"), chat, noon)) << "it alone";
    all.leave(client);
    EXPECT_EQ(all.of(client).publishes, 1u);
    all.leave(client);
    EXPECT_EQ(all.of(client).publishes, 4u);
}

TEST(hub_rates, what_is_published_beyond_the_rate_is_refused_told_and_counted) {
    hub_fixture f(narrow());
    const member a = f.come("a"), b = f.come("b");
    send(f, a, say, 12);
    EXPECT_THAT(f.out.publishes, SizeIs(8));
    EXPECT_EQ(f.count(a, R"("code":"rate_limited","message":"this client publishes too fast",)"
                         R"("retryable":true,"retry_after_ms":1000)"),
              1u)
        << "once, since nothing tells them apart";
    EXPECT_EQ(f.all.counters().rate_limited, 4u);
    send(f, b, say, 1);
    EXPECT_THAT(f.out.publishes, SizeIs(9)) << "others notice nothing";
    f.advance(milliseconds(1'000));
    send(f, a, say, 4);
    EXPECT_THAT(f.out.publishes, SizeIs(13)) << "a second's worth has been saved up";
}

TEST(hub_rates, each_refused_message_with_an_id_is_told) {
    hub_fixture f(narrow());
    const member a = f.come("a");
    for (int i = 0; i < 12; ++i)
        send(f, a, R"({"packet_action":"publish","channel":"chat","id":"m)" + std::to_string(i) + R"(","message":1})",
             1);
    EXPECT_EQ(f.count(a, "rate_limited"), 4u);
    for (int i = 8; i < 12; ++i) EXPECT_EQ(f.count(a, R"("id":"m)" + std::to_string(i) + '"'), 1u);
}

// It sends again what was refused when the wait is over, and what stood behind must not have overtaken it.
TEST(hub_rates, after_a_refusal_all_is_refused_until_the_wait_is_over) {
    hub_fixture f(narrow());
    const member a = f.come("a");
    send(f, a, say, 9);
    for (int i = 0; i < 9; ++i) {
        f.advance(milliseconds(100));
        send(f, a, say, 1);
    }
    EXPECT_THAT(f.out.publishes, SizeIs(8));
    f.advance(milliseconds(100));
    send(f, a, say, 1);
    EXPECT_THAT(f.out.publishes, SizeIs(9));
}

TEST(hub_rates, a_known_id_that_comes_again_is_not_published_and_does_not_count_as_that) {
    hub_fixture f(narrow());
    const member a = f.come("a");
    send(f, a, R"({"packet_action":"publish","channel":"chat","id":"m","message":1})", 12);
    EXPECT_THAT(f.out.publishes, SizeIs(1));
    EXPECT_EQ(f.all.counters().rate_limited, 0u);
}

TEST(hub_rates, a_channel_may_allow_less) {
    session_settings config = narrow();
    config.channels[1].publish_rate = 1;
    hub_fixture f(config);
    const member a = f.come("a");
    send(f, a, R"({"packet_action":"publish","channel":"voice","message":1})", 3);
    EXPECT_THAT(f.out.publishes, SizeIs(2));
    EXPECT_EQ(f.count(a, "rate_limited"), 1u);
    send(f, a, say, 4);
    EXPECT_THAT(f.out.publishes, SizeIs(6)) << "another channel is not concerned";
    send(f, a, R"({"packet_action":"publish","channel":{"voice":true,"chat":true},"message":1})", 1);
    EXPECT_THAT(f.out.publishes, SizeIs(6)) << "all of a message, or nothing";
}

TEST(hub_rates, frames_beyond_the_rate_are_taken_and_then_the_socket_is_read_more_slowly) {
    hub_fixture f(narrow());
    const member a = f.come("a");
    send(f, a, leave, 20);
    EXPECT_FALSE(f.out.reading_paused[a]);
    send(f, a, leave, 1);
    EXPECT_TRUE(f.out.reading_paused[a]);
    EXPECT_EQ(f.count(a, "consuming"), 21u) << "nothing is refused";
    EXPECT_EQ(f.all.counters().reading_slowed, 1u);
    f.advance(milliseconds(250));
    EXPECT_FALSE(f.out.reading_paused[a]);
}

TEST(hub_rates, octets_count_whatever_the_frames_say) {
    hub_fixture f(narrow());
    const member a = f.come("a");
    send(f, a, std::string(40'000, 'x'), 1);
    EXPECT_TRUE(f.out.reading_paused[a]);
    f.advance(milliseconds(1'900));
    EXPECT_TRUE(f.out.reading_paused[a]) << "20,000 octets are owed";
    f.advance(milliseconds(300));
    EXPECT_FALSE(f.out.reading_paused[a]);
}

TEST(hub_rates, the_rates_are_those_of_all_sockets_of_a_client_together) {
    hub_fixture f(narrow());
    const member one = f.come("a"), two = f.come("a");
    send(f, one, say, 8);
    send(f, two, say, 1);
    EXPECT_EQ(f.count(two, "rate_limited"), 1u);
    send(f, two, leave, 12);
    EXPECT_TRUE(f.out.reading_paused[two]);
    EXPECT_FALSE(f.out.reading_paused[one]) << "this one has sent nothing since";
}

TEST(hub_rates, coming_back_fills_nothing) {
    hub_fixture f(narrow());
    member a = f.come("a");
    send(f, a, say, 8);
    f.all.closed(a);
    a = f.come("a");
    send(f, a, say, 1);
    EXPECT_THAT(f.out.publishes, SizeIs(8));
    EXPECT_EQ(f.count(a, "rate_limited"), 1u);
}

TEST(hub_rates, the_first_word_after_a_ping_is_free) {
    session_settings config = narrow();
    config.ping_interval = seconds(5);
    hub_fixture f(config);
    const member a = f.come("a");
    send(f, a, leave, 20);
    f.advance(seconds(5));
    send(f, a, R"("primus::pong::1")", 1);
    send(f, a, leave, 20);
    EXPECT_FALSE(f.out.reading_paused[a]);
    send(f, a, R"("primus::pong::1")", 1);
    EXPECT_TRUE(f.out.reading_paused[a]) << "a second one is a frame like others";
}

TEST(hub_rates, who_goes_on_for_too_long_is_closed_and_so_is_what_it_sends_when_it_comes_back) {
    hub_fixture f(narrow());
    member a = f.come("a");
    for (int round = 0; round < 33 && f.out.closed.empty(); ++round) {
        send(f, a, say, 12);
        f.advance(seconds(1));
    }
    ASSERT_THAT(f.out.closed, SizeIs(1));
    EXPECT_EQ(f.out.closed.front(), std::pair(a, ws::close_code(4101)));
    EXPECT_EQ(f.all.counters().flooders_closed, 1u);
    f.all.closed(a);
    a = f.come("a");
    send(f, a, leave, 20);
    EXPECT_THAT(f.out.closed, SizeIs(2)) << "at once: nothing was saved up in between";
    EXPECT_EQ(f.count(a, "sending too fast for too long"), 1u);
    f.all.closed(a);
    f.advance(seconds(20));
    a = f.come("a");
    send(f, a, leave, 21);
    EXPECT_THAT(f.out.closed, SizeIs(2)) << "it has kept still: its patience begins anew";
}

TEST(hub_rates, without_patience_nobody_is_closed) {
    session_settings config = narrow();
    config.client.patience = milliseconds(0);
    hub_fixture f(config);
    const member a = f.come("a");
    for (int round = 0; round < 200; ++round) {
        send(f, a, say, 12);
        f.advance(seconds(1));
    }
    EXPECT_THAT(f.out.closed, IsEmpty());
}

TEST(hub_rates, two_reasons_to_pause_have_to_go_both) {
    hub_fixture f(narrow());
    const member a = f.come("a");
    f.out.crowded_client = "a";
    send(f, a, say, 1);
    send(f, a, leave, 20);
    EXPECT_TRUE(f.out.reading_paused[a]);
    f.out.crowded_client.clear();
    f.all.on_room(client_id("a"));
    EXPECT_TRUE(f.out.reading_paused[a]) << "it was too fast as well";
    f.advance(milliseconds(1'100));
    EXPECT_FALSE(f.out.reading_paused[a]);
    f.out.crowded_client = "a";
    send(f, a, say, 1);
    send(f, a, leave, 20);
    f.advance(milliseconds(1'500));
    EXPECT_TRUE(f.out.reading_paused[a]) << "its messages still wait";
}

TEST(hub_rates, a_client_has_so_many_sockets) {
    hub_fixture f(narrow());
    const client_id a("a");
    EXPECT_FALSE(f.all.has_enough_sockets(a, nullptr));
    const member one = f.come("a");
    f.come("a");
    EXPECT_TRUE(f.all.has_enough_sockets(a, nullptr));
    EXPECT_FALSE(f.all.has_enough_sockets(client_id("b"), nullptr));
    const client_limits more{.connections = 3};
    EXPECT_FALSE(f.all.has_enough_sockets(a, &more));
    const client_limits any{.connections = 0};
    EXPECT_FALSE(f.all.has_enough_sockets(a, &any));
    f.all.closed(one);
    EXPECT_FALSE(f.all.has_enough_sockets(a, nullptr));
}

// A client that stays within its rates is never refused, whatever the others do: an hour, a message each quarter
// second.
TEST(hub_rates, who_stays_within_its_rates_is_never_refused) {
    hub_fixture f(narrow());
    const member a = f.come("a"), flooder = f.come("b");
    for (int i = 0; i < 14'400; ++i) {
        send(f, a, say, 1);
        if (!f.out.reading_paused[flooder]) send(f, flooder, say, 20);
        f.out.publishes.clear();
        f.out.sent[flooder].clear();
        ASSERT_FALSE(f.out.reading_paused[a]) << i;
        f.advance(milliseconds(250));
    }
    EXPECT_EQ(f.count(a, "error"), 0u);
}

}  // namespace
}  // namespace foz::aggregator
