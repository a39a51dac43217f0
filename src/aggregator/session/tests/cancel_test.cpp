// Requests that their clients cancel.
#include "aggregator/session/tests/entries.hpp"
#include "aggregator/session/tests/hub_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr std::string_view request_m1 =
    R"({"packet_action":"publish","channel":"chat","id":"m1","ack":"answer","message":1})";
constexpr std::string_view cancel_m1 = R"({"packet_action":"cancel","id":"m1"})";
constexpr std::string_view cancel_m1_on_chat = R"({"packet_action":"cancel","id":"m1","channel":"chat"})";

}  // namespace

TEST(cancel, the_caller_is_told_once_and_nothing_follows) {
    hub_fixture f;
    const member who = f.come("a");
    f.all.on_text(who, request_m1);
    f.take(who);
    f.all.on_text(who, cancel_m1);
    EXPECT_THAT(f.take(who), ElementsAre(HasSubstr(R"("code":"cancelled")")));
    EXPECT_THAT(f.out.cancelled, ElementsAre(Pair(0u, "a/m1")));
    EXPECT_EQ(f.all.requests_waiting(), 0u);
    f.all.on_outcome(f.out.publishes[0].ticket, amqp::outcome::confirmed);
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    f.advance(std::chrono::minutes(2));
    EXPECT_EQ(f.count(who, "m1"), 0u);
}

TEST(cancel, what_is_sent_again_or_cancelled_again_gets_the_outcome) {
    hub_fixture f;
    const member who = f.come("a");
    f.all.on_text(who, request_m1);
    f.all.on_text(who, cancel_m1);
    f.take(who);
    f.all.on_text(who, request_m1);
    EXPECT_THAT(f.take(who), ElementsAre(HasSubstr(R"("code":"cancelled")")));
    f.all.on_text(who, cancel_m1);
    EXPECT_THAT(f.take(who), ElementsAre(HasSubstr(R"("code":"cancelled")")));
    EXPECT_EQ(f.out.publishes.size(), 1u);
    EXPECT_EQ(f.out.cancelled.size(), 1u);
}

TEST(cancel, what_has_been_answered_stays_answered) {
    hub_fixture f;
    const member who = f.come("a");
    f.all.on_text(who, request_m1);
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    f.take(who);
    f.all.on_text(who, cancel_m1);
    EXPECT_THAT(f.take(who), ElementsAre(HasSubstr(R"("event":"answer")")));
    EXPECT_THAT(f.out.cancelled, IsEmpty());
}

TEST(cancel, everybody_who_waited_is_told_and_so_is_who_cancels_through_a_responder) {
    hub_fixture f;
    const member first = f.come("a"), second = f.come("a");
    f.all.on_text(first,
                  R"({"plugin":"primus-responder","requestId":"7","data":{"packet_action":"publish","channel":"chat",)"
                  R"("id":"m1","message":1}})");
    f.all.on_text(second, request_m1);
    f.take(first), f.take(second);
    f.all.on_text(second, R"({"plugin":"primus-responder","requestId":"8","data":)" + std::string(cancel_m1) + "}");
    EXPECT_THAT(f.take(first), ElementsAre(HasSubstr(R"("responseId":"7")")));
    EXPECT_THAT(f.take(second), ElementsAre(HasSubstr(R"("responseId":"8")"), testing::Not(HasSubstr("responseId"))));
}

TEST(cancel, a_write_that_awaits_no_answer_gets_no_receipt_any_more) {
    hub_fixture f;
    const member who = f.come("a");
    f.all.on_text(who, R"({"packet_action":"publish","channel":"chat","id":"m1","message":1})");
    f.all.on_text(who, cancel_m1);
    EXPECT_THAT(f.take(who), testing::Contains(HasSubstr(R"("code":"cancelled")")));
    f.all.on_outcome(f.out.publishes[0].ticket, amqp::outcome::confirmed);
    EXPECT_EQ(f.count(who, "m1"), 0u);
}

TEST(cancel, what_another_aggregator_was_asked_is_cancelled_here) {
    hub_fixture f, elsewhere;
    const member there = elsewhere.come("a"), who = f.come("a", {0});
    elsewhere.all.on_text(there, request_m1);
    f.take(who);
    f.all.on_text(who, cancel_m1_on_chat);
    EXPECT_THAT(f.take(who), ElementsAre(HasSubstr(R"("code":"cancelled")")));
    EXPECT_THAT(f.out.cancelled, ElementsAre(Pair(0u, "a/m1")));
    f.all.dispatch(answer_to(elsewhere.out.publishes[0].message, "1", entry_answer::kind::part));
    f.all.dispatch(answer_to(elsewhere.out.publishes[0].message));
    EXPECT_EQ(f.count(who, "m1"), 0u) << "the worker did not hear of it in time";
    // Another client's request with the same id is another one.
    const member other = f.come("b");
    f.all.on_text(other, request_m1);
    EXPECT_EQ(f.out.publishes.size(), 1u);
}

TEST(cancel, says_what_is_missing) {
    hub_fixture f;
    const member who = f.come("a");
    f.take(who);
    f.all.on_text(who, R"({"packet_action":"cancel"})");
    f.all.on_text(who, cancel_m1);  // known nowhere, and on no channel
    f.all.on_text(who, R"({"packet_action":"cancel","id":"m1","channel":{"chat":true,"voice":true}})");
    f.all.on_text(who, R"({"packet_action":"cancel","id":"m1","channel":"nowhere"})");
    EXPECT_THAT(f.take(who), ElementsAre(HasSubstr(R"("field":"id")"), HasSubstr(R"("field":"channel")"),
                                         HasSubstr("ambiguous_channel"), HasSubstr("unknown_channel")));
    EXPECT_THAT(f.out.cancelled, IsEmpty());
}

TEST(cancel, a_draining_aggregator_does_not_wait_for_what_is_cancelled) {
    hub_fixture f;
    const member who = f.come("a");
    f.all.on_text(who, request_m1);
    f.all.on_outcome(f.out.publishes[0].ticket, amqp::outcome::confirmed);
    f.all.drain();
    for (int i = 0; i < 60; ++i) f.advance(std::chrono::milliseconds(50)), f.work();
    EXPECT_THAT(f.out.closed, IsEmpty());
    f.all.on_text(who, cancel_m1);
    for (int i = 0; i < 60; ++i) f.advance(std::chrono::milliseconds(50)), f.work();
    EXPECT_EQ(f.out.closed.size(), 1u);
}

}  // namespace foz::aggregator
