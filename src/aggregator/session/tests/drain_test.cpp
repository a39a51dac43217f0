// What a hub does with its sessions when the aggregator stops.
#include "aggregator/session/tests/entries.hpp"
#include "aggregator/session/tests/hub_fixture.hpp"

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

std::string ask(std::string_view request, std::string_view channel = "chat") {
    return R"({"plugin":"primus-responder","requestId":")" + std::string(request) +
           R"(","data":{"packet_action":"publish","channel":")" + std::string(channel) + R"(","message":1}})";
}

struct draining : hub_fixture {
    using hub_fixture::hub_fixture;

    void pass(milliseconds span) {
        for (; span.count() > 0; span -= milliseconds(50)) {
            advance(milliseconds(50));
            work();
        }
    }
    bool is_closed(member who) const {
        return std::ranges::any_of(out.closed, [&](const auto& one) { return one.first == who; });
    }
    void confirm(std::size_t which) { all.on_outcome(out.publishes[which].ticket, amqp::outcome::confirmed); }
};

}  // namespace

TEST(drain, a_socket_stays_until_its_answer_has_been_sent) {
    draining f;
    const member waits = f.come("a"), idle = f.come("b");
    f.all.on_text(waits, ask("1"));
    f.confirm(0);
    f.all.drain();
    f.pass(seconds(3));
    EXPECT_TRUE(f.is_closed(idle));
    EXPECT_FALSE(f.is_closed(waits));
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    EXPECT_FALSE(f.is_closed(waits)) << "not while the answer is being given";
    f.work();
    EXPECT_TRUE(f.is_closed(waits));
    EXPECT_EQ(f.count(waits, R"("responseId":"1")"), 1u);
    EXPECT_EQ(f.all.counters().sent_away, 2u);
    EXPECT_EQ(f.all.counters().sent_away_early, 0u);
}

TEST(drain, a_receipt_is_owed_too_and_so_is_what_was_written_after_the_drain_was_told) {
    draining f;
    f.come("b");  // goes first
    const member a = f.come("a");
    f.all.drain();
    f.work();
    ASSERT_EQ(f.count(a, R"("event":"drain")"), 1u);
    f.all.on_text(a, R"({"packet_action":"publish","channel":"chat","id":"m1","message":1})");
    f.pass(seconds(2));
    EXPECT_FALSE(f.is_closed(a));
    f.confirm(0);
    f.work();
    EXPECT_EQ(f.count(a, R"("event":"receipt")"), 1u);
    EXPECT_TRUE(f.is_closed(a));
}

TEST(drain, messages_and_answers_of_volatile_channels_go_on_until_the_close) {
    draining f;
    const member a = f.come("a", {1});
    f.all.on_text(a, ask("1", "voice"));
    f.confirm(0);
    f.all.drain();
    f.pass(seconds(3));
    f.all.dispatch(said{.channel = 1, .body = "7"}.make());
    EXPECT_THAT(f.heard(a), ElementsAre("7"));
    auto answer = std::make_shared<entry>(*answer_to(f.out.publishes[0].message));
    answer->channel = 1;
    f.all.dispatch(answer);
    EXPECT_EQ(f.count(a, R"("responseId":"1")"), 1u);
    f.work();
    EXPECT_TRUE(f.is_closed(a));
}

TEST(drain, a_socket_that_has_been_asked_stays_until_it_has_answered_or_nobody_waits) {
    for (const bool answers : {true, false}) {
        draining f;
        const member a = f.come("a", {0});
        entry question = *said{.offset = 1, .how = envelope::via::direct, .to = {"a"}}.make();
        question.question = entry_question{.id = "foz-1",
                                           .reply_to = "q",
                                           .correlation_id = "1",
                                           .expires = f.time.wall_now() + seconds(5),
                                           .life = seconds(5)};
        f.all.dispatch(std::make_shared<entry>(question));
        f.all.drain();
        f.pass(seconds(3));
        EXPECT_FALSE(f.is_closed(a));
        if (answers) {
            f.all.on_text(a, R"({"plugin":"primus-responder","responseId":"foz-1","data":1})");
            f.work();
            EXPECT_EQ(f.out.publishes.size(), 1u);
        } else {
            f.pass(seconds(3));
        }
        EXPECT_TRUE(f.is_closed(a));
    }
}

TEST(drain, at_the_limit_everybody_is_closed_and_volatile_requests_fail_first) {
    draining f;
    const member a = f.come("a"), b = f.come("b");
    f.all.on_text(a, ask("1", "voice"));
    f.all.on_text(b, ask("1"));
    f.confirm(0);
    f.confirm(1);
    f.all.drain();
    f.pass(seconds(3));
    EXPECT_THAT(f.out.closed, IsEmpty());
    f.all.end_drain();
    f.work();
    EXPECT_TRUE(f.is_closed(a));
    EXPECT_TRUE(f.is_closed(b));
    EXPECT_EQ(f.count(a, R"("code":"interrupted")"), 1u);
    EXPECT_EQ(f.count(b, R"("responseId":"1")"), 0u) << "its answer finds it on another aggregator";
    EXPECT_EQ(f.all.counters().sent_away_early, 1u);
}

TEST(drain, who_comes_in_during_a_drain_is_sent_on) {
    draining f;
    f.all.drain();
    f.work();
    const member a = f.come("a");
    f.work();
    EXPECT_EQ(f.count(a, R"("event":"drain")"), 1u);
    EXPECT_TRUE(f.is_closed(a));
}

// What crosses the close frame is handled, and answered wherever the client is by then.
TEST(drain, what_was_written_before_the_client_knew_of_the_close_is_published) {
    draining f;
    const member a = f.come("a");
    f.all.drain();
    f.pass(seconds(2));
    ASSERT_TRUE(f.is_closed(a));
    f.all.on_text(a, ask("2"));
    ASSERT_EQ(f.out.publishes.size(), 1u);
    EXPECT_EQ(f.count(a, R"("responseId":"2")"), 0u);
    // Its answer goes where the client is by then.
    EXPECT_EQ(f.all.answers_awaited(), 1u);
    f.all.closed(a, true);
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    EXPECT_EQ(f.all.answers_awaited(), 0u);
    ASSERT_EQ(f.out.elsewhere.size(), 1u);
    hub_fixture next;
    const auto& [client, told] = f.out.elsewhere[0];
    const member early = next.come("a");
    next.all.told_elsewhere(client, told);
    const member late = next.come("a"), other = next.come("b");
    EXPECT_EQ(next.count(early, R"("responseId":"2")"), 1u);
    EXPECT_EQ(next.count(late, R"("responseId":"2")"), 1u);
    EXPECT_EQ(next.count(other, R"("responseId":"2")"), 0u);
}

TEST(drain, who_has_closed_in_good_order_has_heard_everything_and_others_may_not_have) {
    for (const bool clean : {true, false}) {
        draining f;
        const member a = f.come("a");
        f.all.on_text(a, ask("1"));
        f.all.drain();
        f.pass(seconds(2));
        f.confirm(0);
        f.all.dispatch(answer_to(f.out.publishes[0].message));
        f.work();
        ASSERT_TRUE(f.is_closed(a));
        f.all.closed(a, clean);
        EXPECT_EQ(f.out.elsewhere.size(), clean ? 0u : 1u);
    }
}

TEST(drain, resends_of_one_message_are_all_owed_its_outcome) {
    draining f;
    const member a = f.come("a"), b = f.come("a");
    const std::string message = R"({"packet_action":"publish","channel":"chat","id":"m1","message":1})";
    f.all.on_text(a, message);
    f.all.on_text(b, message);
    ASSERT_EQ(f.out.publishes.size(), 1u);
    f.all.drain();
    f.pass(seconds(2));
    EXPECT_THAT(f.out.closed, IsEmpty());
    f.confirm(0);
    f.work();
    EXPECT_TRUE(f.is_closed(a));
    EXPECT_TRUE(f.is_closed(b));
}

}  // namespace foz::aggregator
