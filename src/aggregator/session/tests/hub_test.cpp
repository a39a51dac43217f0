// What a hub does with what comes in, without sockets or a broker.
#include "aggregator/session/tests/entries.hpp"
#include "aggregator/session/tests/hub_fixture.hpp"
#include "contract/names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view request_1 =
    R"({"plugin":"primus-responder","requestId":"1","data":{"packet_action":"publish","channel":"chat","message":1}})";

member resumes_two_megabytes(hub_fixture& f) {
    for (std::uint64_t i = 1; i <= 100; ++i)
        f.all.remember(said{.offset = i, .body = '"' + std::string(20'000, 'x') + '"'}.make());
    const member who = f.come("a");
    f.all.on_text(who, from_position(1));
    f.work();
    return who;
}

}  // namespace

TEST(hub, a_session_hears_what_it_consumes) {
    hub_fixture f;
    const member a = f.come("a", {0}), b = f.come("b");
    f.all.dispatch(numbered(1));
    EXPECT_THAT(f.heard(a), ElementsAre("1"));
    EXPECT_THAT(f.heard(b), IsEmpty());
    f.all.on_text(b, R"({"packet_action":"consume","channel":"chat"})");
    f.all.dispatch(numbered(2));
    EXPECT_THAT(f.heard(a), ElementsAre("1", "2"));
    EXPECT_THAT(f.heard(b), ElementsAre("2"));
}

TEST(hub, a_slow_session_is_closed_on_a_durable_channel_and_loses_messages_on_a_volatile_one) {
    hub_fixture f;
    const member a = f.come("a", {0, 1});
    f.out.slow_ones = {a};
    f.all.dispatch(said{.channel = 1}.make());
    EXPECT_THAT(f.out.closed, IsEmpty());
    EXPECT_EQ(f.all.counters().deliveries_dropped, 1u);
    f.out.slow_ones.clear();
    f.all.on_drained(a);
    EXPECT_EQ(f.count(a, R"("cause":"slow")"), 1u) << "what was lost is told";
    f.out.slow_ones = {a};
    f.all.dispatch(numbered(1));
    ASSERT_EQ(f.out.closed.size(), 1u);
    EXPECT_EQ(f.all.counters().slow_closed, 1u);
}

// However much is queued within a turn: whether a socket is slow is what its writes tell.
TEST(hub, nobody_is_judged_by_what_is_queued) {
    hub_fixture f;
    const member a = f.come("a", {0});
    for (std::uint64_t i = 1; i <= 3'000; ++i)
        f.all.dispatch(said{.offset = i, .body = '"' + std::string(1'500, 'x') + '"'}.make());
    EXPECT_THAT(f.out.closed, IsEmpty());
    EXPECT_EQ(f.heard(a).size(), 3'000u);
}

TEST(hub, one_client_with_much_to_resume_holds_nobody_up) {
    hub_fixture f;
    for (std::uint64_t i = 1; i <= 5'000; ++i) f.all.remember(numbered(i));
    const member a = f.come("a"), b = f.come("b");
    for (int i = 0; i < 1'000; ++i) f.all.on_text(a, from_position(1));
    EXPECT_LE(f.out.sent[a].size(), 1'000u) << "the answers, and nothing of the past yet";
    f.all.on_text(b, from_position(4'990));
    // A portion is bounded, and the other one has its turn in it.
    const auto before = f.out.sent[a].size();
    f.out.wants_work = false;
    f.all.work();
    EXPECT_LE(f.out.sent[a].size() - before, 1'100u);
    EXPECT_EQ(f.heard(b).size(), 10u);
    f.out.queued.clear();
    f.out.wants_work = true;
    f.work();
    const auto heard = f.heard(a);
    EXPECT_EQ(heard.size(), 4'999u) << "of a thousand resumes the last one counts";
}

TEST(hub, the_past_comes_before_the_present_and_in_order) {
    hub_fixture f;
    for (std::uint64_t i = 1; i <= 300; ++i) f.all.remember(numbered(i));
    const member a = f.come("a");
    f.all.on_text(a, from_position(1));
    std::uint64_t next = 301;
    while (f.all.work()) f.all.dispatch(numbered(next++));
    f.all.dispatch(numbered(next++));
    const auto heard = f.heard(a);
    ASSERT_EQ(heard.size(), next - 2);
    for (std::size_t i = 0; i < heard.size(); ++i) EXPECT_EQ(heard[i], std::to_string(i + 2));
}

TEST(hub, what_the_ring_does_not_have_is_read_from_the_stream) {
    hub_fixture f;
    f.all.remember(numbered(10));
    const member a = f.come("a");
    f.all.on_text(a, from_position(5));
    f.work();
    ASSERT_EQ(f.out.reads.size(), 1u);
    f.all.dispatch(numbered(11));
    EXPECT_THAT(f.heard(a), IsEmpty()) << "the present waits for the past";
    auto entries = std::make_shared<std::vector<entry_ref>>();
    for (const std::uint64_t offset : {6, 7, 10}) entries->push_back(numbered(offset));
    page last{.entries = entries};
    f.all.on_page(f.out.reads[0].who, std::move(last));
    f.work();
    EXPECT_THAT(f.heard(a), ElementsAre("6", "7", "10", "11"));
    ASSERT_EQ(f.out.pages_taken.size(), 1u);
    EXPECT_FALSE(f.out.pages_taken[0].more);
}

TEST(hub, a_page_for_whom_nobody_waits_any_more_is_answered) {
    hub_fixture f;
    const member a = f.come("a");
    f.all.on_text(a, from_position(5));
    f.work();
    ASSERT_EQ(f.out.reads.size(), 1u);
    f.all.closed(a);
    ASSERT_EQ(f.out.pages_taken.size(), 1u) << "a reading ends with its session";
    f.all.on_page(f.out.reads[0].who, {.entries = std::make_shared<std::vector<entry_ref>>()});
    EXPECT_EQ(f.out.pages_taken.size(), 2u);
    EXPECT_FALSE(f.out.pages_taken[1].more);
}

TEST(hub, a_socket_that_takes_nothing_is_given_no_more_and_closed_after_a_while) {
    hub_fixture f;
    const member a = resumes_two_megabytes(f);
    EXPECT_LT(f.out.queued[a], 700'000u);
    f.out.stuck_since[a] = f.time.now();
    f.advance(seconds(15));
    f.out.stuck_since[a] = f.time.now();
    f.advance(seconds(15));
    EXPECT_THAT(f.out.closed, IsEmpty()) << "it has taken some";
    f.advance(seconds(30));
    EXPECT_EQ(f.out.closed.size(), 1u);
}

TEST(hub, a_socket_that_is_filled_as_fast_as_it_takes_is_not_closed) {
    hub_fixture f;
    const member a = resumes_two_megabytes(f);
    for (int i = 0; i < 6; ++i) {
        f.out.stuck_since[a] = f.time.now();  // it would block again, having taken something
        f.out.queued[a] += 1'000;             // of another channel
        f.advance(seconds(10));
    }
    EXPECT_THAT(f.out.closed, IsEmpty());
}

TEST(hub, a_quiet_session_is_told_its_position_before_it_is_too_far_behind) {
    session_settings config = two_channels();
    config.resume_entries_max = 20;
    hub_fixture f(config);
    const member a = f.come("a");
    f.all.on_text(a, R"({"packet_action":"consume","channel":"chat","distribution":{"multicast":["team"]}})");
    for (std::uint64_t i = 1; i <= 40; ++i) {
        f.all.dispatch(said{.offset = i, .how = envelope::via::direct, .to = {"b"}}.make());
        f.work();
    }
    EXPECT_THAT(f.heard(a), IsEmpty());
    EXPECT_GE(f.count(a, R"("event":"position")"), 10u);
    // The last one that it was told is near.
    std::uint64_t last = 0;
    for (std::uint64_t i = 1; i <= 40; ++i)
        if (f.count(a, '"' + envelope::to_string(place_of(i)) + '"') > 0) last = i;
    EXPECT_GE(last, 36u);
}

TEST(hub, one_entry_that_was_too_large_is_told_and_everything_else_stands) {
    hub_fixture f;
    const member a = f.come("a", {0});
    f.all.dispatch(numbered(1));
    auto skipped = std::make_shared<entry>();
    skipped->where = place_of(2);
    skipped->too_large = true;
    f.take(a);
    f.all.dispatch(skipped);
    f.work();
    f.advance(seconds(33));
    f.work();
    const auto first = [&](std::string_view part) {
        return std::ranges::find_if(f.out.sent[a], [&](const auto& text) { return text.contains(part); });
    };
    EXPECT_LT(first(R"("event":"gap")"), first(R"("event":"position")")) << "before any position behind it";
    EXPECT_EQ(f.count(a, R"("event":"position")"), 1u);
    f.all.dispatch(numbered(3));
    EXPECT_EQ(f.count(a, R"("cause":"too_large")"), 1u);
    const member b = f.come("b");
    f.all.on_text(b, from_position(1));
    f.work();
    EXPECT_THAT(f.heard(b), ElementsAre("3")) << "the ring was kept";
}

namespace {

// The broker has the request.
void asks(hub_fixture& f, member who) {
    f.all.on_text(who, request_1);
    f.all.on_outcome(f.out.publishes[0].ticket, amqp::outcome::confirmed);
}

}  // namespace

// A phone that has changed networks: its old socket says nothing, its new one waits.
TEST(hub, an_answer_comes_on_the_newest_socket_too_when_the_one_that_asked_is_silent) {
    hub_fixture f;
    const member old = f.come("a");
    asks(f, old);
    f.take(old);
    f.advance(seconds(1));
    const member fresh = f.come("a");
    f.advance(milliseconds(250));
    f.work();
    EXPECT_EQ(f.count(old, "primus::ping"), 1u) << "it is asked for a sign of life";
    EXPECT_EQ(f.count(fresh, "primus::ping"), 0u);
    f.out.silent_ones = {old};
    f.advance(seconds(5));
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    EXPECT_EQ(f.count(old, R"("responseId":"1")"), 1u);
    EXPECT_EQ(f.count(fresh, R"("responseId":"1")"), 1u);
}

// It went into the old socket before the client had another one.
TEST(hub, what_a_silent_socket_was_told_is_told_on_the_newest_one) {
    hub_fixture f;
    const member old = f.come("a");
    asks(f, old);
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    const member fresh = f.come("a");
    f.out.silent_ones = {old};
    EXPECT_EQ(f.count(fresh, R"("responseId":"1")"), 0u) << "it may show life yet";
    f.advance(seconds(2));
    f.work();
    EXPECT_EQ(f.count(fresh, R"("responseId":"1")"), 1u);
    // That one is silent, too.
    const member last = f.come("a");
    f.out.silent_ones = {old, fresh};
    f.advance(seconds(2));
    f.work();
    EXPECT_EQ(f.count(last, R"("responseId":"1")"), 1u);
    EXPECT_EQ(f.count(fresh, R"("responseId":"1")"), 1u);
}

TEST(hub, what_a_socket_has_heard_is_not_told_again) {
    hub_fixture f;
    const member old = f.come("a");
    asks(f, old);
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    f.all.on_text(old, R"("primus::pong::1")");
    f.out.silent_ones = {old};
    const member fresh = f.come("a");
    f.advance(seconds(2));
    f.work();
    f.all.closed(old);
    EXPECT_EQ(f.count(fresh, R"("responseId":"1")"), 0u);
}

TEST(hub, what_comes_while_a_client_is_away_is_told_when_it_is_back) {
    hub_fixture f;
    const member old = f.come("a");
    asks(f, old);
    f.all.closed(old);
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    const member fresh = f.come("a");
    EXPECT_EQ(f.count(fresh, R"("responseId":"1")"), 1u);
    EXPECT_EQ(f.count(f.come("b"), R"("responseId":"1")"), 0u);
    // For a minute: a socket may be another page's.
    f.advance(seconds(50));
    EXPECT_EQ(f.count(f.come("a"), R"("responseId":"1")"), 1u);
    f.advance(seconds(12));
    EXPECT_EQ(f.count(f.come("a"), R"("responseId":"1")"), 0u);
}

TEST(hub, what_is_kept_for_those_who_are_away_is_bounded) {
    left_behind kept;
    const steady_time now{seconds(1)};
    for (std::size_t i = 0; i < 3 * left_behind::clients_max; ++i)
        kept.add(client_id("c" + std::to_string(i)), told_answer::of({.request_id = "1"}, "{}"), now);
    EXPECT_EQ(kept.clients(), left_behind::clients_max);
    EXPECT_EQ(kept.find(client_id("c0")), nullptr) << "who was added first";
    EXPECT_NE(kept.find(client_id("c" + std::to_string(3 * left_behind::clients_max - 1))), nullptr);
    for (int i = 0; i < 1'000; ++i)
        kept.add(client_id("much"), told_answer::of({.request_id = std::to_string(i)}, std::string(1'000, 'x')), now);
    const unheard_answers* const last = kept.find(client_id("much"));
    ASSERT_NE(last, nullptr);
    EXPECT_LE(last->all().size(), unheard_answers::answers_max);
    EXPECT_LE(last->octets(), unheard_answers::octets_max);
    EXPECT_EQ(last->all().back().request_id, "999");
    kept.expire(now + left_behind::kept);
    EXPECT_EQ(kept.clients(), 0u);
}

// Which stream its place is in, the stream itself says.
TEST(hub, who_resumes_when_the_stream_is_made_anew_asks_the_new_one) {
    for (const auto cause : {envelope::gap_cause::recreated, envelope::gap_cause::retention}) {
        hub_fixture f;
        for (std::uint64_t i = 1; i <= 4; ++i) f.all.remember(numbered(i));
        const member a = f.come("a");
        f.all.on_text(a, from_position(9));  // it was at an aggregator that is ahead
        f.work();
        ASSERT_EQ(f.out.reads.size(), 1u);
        f.take(a);
        f.all.gap(0, cause);
        f.work();
        EXPECT_EQ(f.count(a, R"("event":"gap")"), 0u);
        ASSERT_EQ(f.out.reads.size(), 2u);
        EXPECT_EQ(f.out.reads[1].from.where, place_of(9));
    }
}

// It was away when the entry came: the gap stands where the entry does.
TEST(hub, a_session_that_resumes_over_an_entry_that_was_too_large_is_told) {
    hub_fixture f;
    for (std::uint64_t i = 1; i <= 4; ++i) {
        auto skipped = std::make_shared<entry>();
        skipped->where = place_of(i);
        skipped->too_large = true;
        f.all.remember(i == 3 ? entry_ref(skipped) : numbered(i));
    }
    const member a = f.come("a");
    f.all.on_text(a, from_position(1));
    // Told of another one meanwhile, it meets that one, too, when it comes to it.
    f.all.gap(0, envelope::gap_cause::too_large, place_of(5));
    f.work();
    EXPECT_THAT(f.heard(a), ElementsAre("2", "4"));
    EXPECT_EQ(f.count(a, R"("cause":"too_large")"), 1u);
}

TEST(hub, own_name_is_nothing_that_others_could_join) {
    hub_fixture f;
    const member a = f.come("anon-a", {0}), b = f.come("anon-b");
    f.all.on_text(b, R"({"packet_action":"consume","channel":"chat","distribution":{"multicast":["anon-a"]}})");
    f.all.dispatch(said{.offset = 1, .how = envelope::via::multicast, .to = {"anon-a"}}.make());
    EXPECT_EQ(f.heard(a).size(), 1u);
    EXPECT_EQ(f.heard(b).size(), 0u);
    EXPECT_EQ(f.count(b, R"("code":"forbidden")"), 1u);
}

TEST(hub, requests_are_counted_by_client_and_not_by_socket) {
    session_settings config = two_channels();
    config.client.requests = 2;
    hub_fixture f(config);
    member a = f.come("a");
    f.all.on_text(a, request_1);
    f.all.on_text(a, request_1);
    EXPECT_EQ(f.count(a, "overloaded"), 0u);
    f.all.closed(a);
    a = f.come("a");
    f.all.on_text(
        a, R"({"plugin":"primus-responder","requestId":"2","data":{"packet_action":"publish","channel":"chat"}})");
    f.all.on_text(
        a, R"({"plugin":"primus-responder","requestId":"3","data":{"packet_action":"publish","channel":"chat"}})");
    EXPECT_EQ(f.count(a, "overloaded"), 1u);
}

TEST(hub, an_answer_goes_to_the_socket_that_asked) {
    hub_fixture f;
    const member a = f.come("a"), other = f.come("a");
    f.all.on_text(a, request_1);
    ASSERT_EQ(f.out.publishes.size(), 1u);
    f.all.on_outcome(f.out.publishes[0].ticket, amqp::outcome::confirmed);
    f.take(a);
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    EXPECT_EQ(f.count(a, R"("responseId":"1")"), 1u);
    EXPECT_THAT(f.out.sent[other], IsEmpty());
    EXPECT_EQ(f.all.requests_waiting(), 0u);
}

// A service that says that it has done the work shows that the broker had the message.
TEST(hub, work_that_is_done_before_an_unknown_confirm_is_a_receipt) {
    hub_fixture f;
    const member a = f.come("a");
    f.all.on_text(a, R"({"packet_action":"publish","channel":"chat","id":"m1","progress":true,"message":1})");
    ASSERT_EQ(f.out.publishes.size(), 1u);
    f.all.dispatch(answer_to(f.out.publishes[0].message, "null", entry_answer::kind::done));
    f.all.on_outcome(f.out.publishes[0].ticket, amqp::outcome::unknown);
    EXPECT_EQ(f.count(a, R"("event":"receipt")"), 1u);
    EXPECT_EQ(f.count(a, R"("event":"error")"), 0u);
}

// The answer comes among what is being replayed, and makes the same channel be resumed once more.
TEST(hub, a_join_that_is_allowed_while_a_resume_is_under_way_disturbs_nothing) {
    session_settings config = two_channels();
    config.channels[0].groups = contract::groups_kind::service;
    hub_fixture f(config);
    f.all.set_reply_queue(0, "OUT_CHAT");
    for (std::uint64_t i = 1; i <= 3; ++i) f.all.remember(numbered(i));
    const member a = f.come("a");
    f.all.on_text(a, R"({"packet_action":"consume","channel":"chat","distribution":{"multicast":["team"]},"from":")" +
                         envelope::to_string(place_of(1)) + R"("})");
    ASSERT_EQ(f.out.publishes.size(), 1u);
    EXPECT_EQ(f.out.publishes[0].message.properties.type, contract::type_join);
    f.all.on_text(a, from_position(1));
    auto allowed = std::make_shared<entry>(*answer_to(f.out.publishes[0].message, R"({"allow":true})"));
    allowed->where = place_of(4);
    f.all.remember(allowed);
    f.all.remember(numbered(5));
    f.out.wants_work = true;
    f.work();
    EXPECT_EQ(f.count(a, R"("event":"consuming")"), 2u);
    EXPECT_THAT(f.heard(a), testing::Contains("5"));
    f.all.closed(a);
}

TEST(hub, a_client_whose_messages_wait_is_read_more_slowly_it_alone) {
    hub_fixture f;
    const member a = f.come("a"), b = f.come("b");
    f.out.crowded_client = "a";
    f.all.on_text(a, R"({"packet_action":"publish","channel":"chat","message":1})");
    f.all.on_text(b, R"({"packet_action":"publish","channel":"chat","message":1})");
    EXPECT_TRUE(f.out.reading_paused[a]);
    EXPECT_FALSE(f.out.reading_paused[b]);
    f.all.on_room(client_id("a"));
    EXPECT_TRUE(f.out.reading_paused[a]) << "it is still crowded";
    f.out.crowded_client.clear();
    f.all.on_room(client_id("a"));
    EXPECT_FALSE(f.out.reading_paused[a]);
}

TEST(hub, a_client_that_was_silent_for_an_interval_is_gone_unless_octets_come) {
    hub_fixture f;
    const member a = f.come("a"), b = f.come("b");
    f.out.silent_ones = {a};
    f.advance(seconds(61));
    EXPECT_THAT(f.out.aborted, ElementsAre(a));
    EXPECT_EQ(f.all.counters().silent_closed, 1u);
    EXPECT_GE(f.count(b, "primus::ping"), 2u);
}

TEST(hub, a_ping_behind_what_is_still_being_taken_is_not_unanswered) {
    hub_fixture f;
    const member a = f.come("a");
    f.out.silent_ones = {a};
    f.out.taking_ones = {a};
    for (int i = 0; i < 5; ++i) f.advance(f.config.ping_interval);
    EXPECT_THAT(f.out.aborted, IsEmpty());
    f.out.taking_ones.clear();
    f.advance(f.config.ping_interval);
    EXPECT_THAT(f.out.aborted, ElementsAre(a));
    EXPECT_EQ(f.all.counters().silent_closed, 1u);
}

TEST(hub, a_slot_is_used_again_and_its_last_session_is_not_mistaken_for_the_next) {
    hub_fixture f;
    const member a = f.come("a", {0});
    f.all.closed(a);
    const member b = f.come("b");
    EXPECT_EQ(a.slot, b.slot);
    EXPECT_NE(a, b);
    f.all.on_text(a, R"({"packet_action":"consume","channel":"chat"})");
    f.all.closed(a);
    EXPECT_EQ(f.all.sessions(), 1u);
    f.all.dispatch(numbered(1));
    EXPECT_THAT(f.heard(b), IsEmpty());
}

}  // namespace foz::aggregator
