// Classic and quorum queues: order, limits, time, consumers.
#include "broker/core/work_queue.hpp"

#include "broker/core/tests/rig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> numbers(std::size_t from, std::size_t end) {
    std::vector<std::string> out;
    for (std::size_t i = from; i < end; ++i) out.push_back(std::to_string(i));
    return out;
}

void publish_numbers(broker_rig& r, const std::string& to, std::size_t from, std::size_t end,
                     const amqp::basic_properties& properties = {}) {
    for (std::size_t i = from; i < end; ++i) r.publish(to, std::to_string(i), properties);
}

}  // namespace

TEST(work_queue, entries_that_come_back_keep_their_place) {
    broker_rig r;
    queue& q = r.declare("q");
    taker a(3);
    ASSERT_TRUE(consume(q, a));
    publish_numbers(r, "q", 0, 6);
    EXPECT_THAT(a.take_bodies(), ElementsAre("0", "1", "2"));
    a.ack(1);  // 1 is done, 3 comes
    q.cancel(a);
    q.give_back(a.pop(2));  // 3
    q.give_back(a.pop(0));  // 0
    q.give_back(a.pop(0));  // 2
    taker b;
    ASSERT_TRUE(consume(q, b));
    EXPECT_THAT(b.bodies, ElementsAre("0", "2", "3", "4", "5"));
    EXPECT_TRUE(b.held[2].redelivered);
    EXPECT_FALSE(b.held[3].redelivered);
    EXPECT_EQ(q.unacked_count(), 5u);
}

TEST(work_queue, consumers_take_turns_and_those_who_are_full_are_left_out) {
    broker_rig r;
    queue& q = r.declare("q");
    taker a;
    taker b(1);
    taker c;
    for (taker* const one : {&a, &b, &c}) ASSERT_TRUE(consume(q, *one));
    publish_numbers(r, "q", 0, 7);
    EXPECT_THAT(a.bodies, ElementsAre("0", "3", "5"));
    EXPECT_THAT(b.bodies, ElementsAre("1"));
    EXPECT_THAT(c.bodies, ElementsAre("2", "4", "6"));
}

TEST(work_queue, a_higher_priority_is_served_first) {
    broker_rig r;
    queue& q = r.declare("q");
    taker low;
    taker high(2);
    taker negative;
    high.priority = 5;
    negative.priority = -1;
    for (taker* const one : {&low, &negative, &high}) ASSERT_TRUE(consume(q, *one));
    publish_numbers(r, "q", 0, 4);
    EXPECT_THAT(high.bodies, ElementsAre("0", "1"));
    EXPECT_THAT(low.bodies, ElementsAre("2", "3"));
    EXPECT_THAT(negative.bodies, IsEmpty());
    high.ack();
    r.publish("q", "4");
    EXPECT_EQ(high.bodies.back(), "4");
}

TEST(work_queue, an_exclusive_consumer_is_alone) {
    broker_rig r;
    queue& q = r.declare("q");
    taker a;
    taker b;
    a.exclusive = true;
    ASSERT_TRUE(consume(q, a));
    const auto refused = consume(q, b);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), (refusal{amqp::reply_code::access_refused, "queue 'q' in vhost '/' in exclusive use"}));
    q.cancel(a);
    ASSERT_TRUE(consume(q, b));
    EXPECT_FALSE(consume(q, a));
}

TEST(work_queue, one_active_consumer_until_it_leaves) {
    broker_rig r;
    queue& q = r.declare("q", {{"x-single-active-consumer", true}});
    taker a(2);
    taker b;
    taker c;
    for (taker* const one : {&a, &b, &c}) ASSERT_TRUE(consume(q, *one));
    publish_numbers(r, "q", 0, 4);
    EXPECT_THAT(a.bodies, ElementsAre("0", "1"));
    EXPECT_THAT(b.bodies, IsEmpty());
    q.cancel(c);
    EXPECT_THAT(b.bodies, IsEmpty());
    q.cancel(a);
    EXPECT_THAT(b.take_bodies(), ElementsAre("2", "3"));
    q.give_back(a.pop(1));
    q.give_back(a.pop(0));
    q.deliver();
    EXPECT_THAT(b.bodies, ElementsAre("0", "1"));
    taker exclusive;
    exclusive.exclusive = true;
    EXPECT_FALSE(consume(q, exclusive));
}

TEST(work_queue, get_takes_from_the_head_and_counts) {
    broker_rig r;
    queue& q = r.declare("q");
    publish_numbers(r, "q", 0, 3);
    const auto first = r.get("q", false);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->what->body(), "0");
    EXPECT_EQ(q.ready_count(), 2u);
    EXPECT_EQ(q.unacked_count(), 1u);
    q.give_back(*first);
    EXPECT_THAT(r.drain("q"), ElementsAre("0", "1", "2"));
}

TEST(work_queue, purge_leaves_what_is_out) {
    broker_rig r;
    queue& q = r.declare_durable("q");
    taker a(2);
    ASSERT_TRUE(consume(q, a));
    publish_numbers(r, "q", 0, 10, persistent());
    EXPECT_EQ(q.purge(), 8u);
    EXPECT_EQ(q.ready_count(), 0u);
    q.cancel(a);
    a.requeue(1);
    a.requeue(0);
    r.restart();
    EXPECT_THAT(r.drain("q"), ElementsAre("0", "1"));
}

TEST(work_queue, beyond_the_window_entries_are_in_the_log_alone_and_come_back_in_order) {
    broker_rig r;
    queue& q = r.declare("q");
    constexpr std::size_t count = work_queue::window_count + 3'000;
    publish_numbers(r, "q", 0, count);
    EXPECT_EQ(q.ready_count(), count);
    EXPECT_EQ(r.disk.logs.begin()->second.entries.size(), 3'000u);
    taker a(work_queue::window_count - 5);
    ASSERT_TRUE(consume(q, a));
    publish_numbers(r, "q", count, count + 10);
    EXPECT_EQ(r.disk.logs.begin()->second.entries.size(), 3'010u);
    // Some come back while others are still in the log.
    q.cancel(a);
    for (const std::size_t i : {10'000u, 100u, 5u}) q.give_back(a.pop(i));
    taker b;
    ASSERT_TRUE(consume(q, b));
    std::vector<std::string> expected = numbers(work_queue::window_count - 5, count + 10);
    expected.insert(expected.begin(), {"5", "100", "10000"});
    EXPECT_EQ(b.bodies, expected);
    while (!b.held.empty()) q.ack(b.pop(b.held.size() - 1));
    EXPECT_TRUE(r.disk.logs.begin()->second.entries.empty());
}

TEST(work_queue, what_is_stored_is_not_kept_in_memory_while_nobody_consumes) {
    constexpr std::size_t count = work_queue::window_unattended_count + 500;
    for (const bool attended : {false, true}) {
        broker_rig r;
        queue& q = r.declare_durable("q");
        taker a(1);
        if (attended) {
            ASSERT_TRUE(consume(q, a));
        }
        publish_numbers(r, "q", 0, count, persistent());
        r.disk.reads = 0;
        taker b;
        if (attended) q.cancel(a);
        ASSERT_TRUE(consume(q, b));
        EXPECT_EQ(r.disk.reads > 0, !attended);
        EXPECT_EQ(b.bodies, numbers(attended ? 1 : 0, count));
    }
}

TEST(work_queue, a_few_large_bodies_fill_the_window_too) {
    broker_rig r;
    queue& q = r.declare("q");
    const std::string body(1 << 20, 'x');
    for (int i = 0; i < 12; ++i) r.publish("q", body);
    EXPECT_EQ(r.disk.logs.begin()->second.entries.size(), 8u);
    r.disk.reads = 0;
    EXPECT_EQ(r.drain("q").size(), 12u);
    EXPECT_GE(r.disk.reads, 8u) << "a page holds about one of them";
    EXPECT_EQ(q.ready_count(), 0u);
}

TEST(work_queue, a_long_queue_is_purged_and_used_again) {
    broker_rig r;
    queue& q = r.declare_durable("q");
    publish_numbers(r, "q", 0, work_queue::window_count + 2'000, persistent());
    EXPECT_EQ(q.purge(), work_queue::window_count + 2'000);
    EXPECT_TRUE(r.disk.logs.begin()->second.entries.empty());
    publish_numbers(r, "q", 0, 3);
    EXPECT_THAT(r.drain("q"), ElementsAre("0", "1", "2"));
}

TEST(work_queue, time_to_live_of_queue_and_message_the_shorter_counts) {
    broker_rig r;
    r.declare("q", {{"x-message-ttl", 1'000}});
    r.publish("q", "a");
    r.publish("q", "b", expiring("500"));
    r.publish("q", "c", expiring("5000"));
    EXPECT_EQ(r.model->next_due(), r.time.passed.count() + 1'000);
    r.pass(999ms);
    EXPECT_EQ(r.find("q").ready_count(), 3u) << "only the head is looked at";
    r.pass(1ms);
    EXPECT_EQ(r.find("q").ready_count(), 0u);
    EXPECT_EQ(r.model->next_due(), 0);
}

TEST(work_queue, an_expired_message_is_given_to_nobody) {
    broker_rig r;
    queue& q = r.declare("q");
    r.publish("q", "a", expiring("100"));
    r.publish("q", "b");
    r.time.passed += 100ms;  // and no alarm has rung yet
    taker a;
    ASSERT_TRUE(consume(q, a));
    EXPECT_THAT(a.bodies, ElementsAre("b"));
    r.publish("q", "c", expiring("0"));
    EXPECT_EQ(a.bodies.back(), "c") << "an expiration of 0 reaches whoever can take it at once";
    q.cancel(a);
    r.publish("q", "d", expiring("0"));
    EXPECT_THAT(r.drain("q"), IsEmpty());
}

TEST(work_queue, the_alarm_follows_a_head_that_was_dropped_for_the_length) {
    broker_rig r;
    r.declare("q", {{"x-max-length", 1}});
    r.publish("q", "slow", expiring("60000"));
    r.publish("q", "quick", expiring("100"));
    EXPECT_EQ(r.find("q").ready_count(), 1u);
    r.pass(100ms);
    EXPECT_EQ(r.find("q").ready_count(), 0u);
}

TEST(work_queue, what_expires_while_it_is_out_expires_when_it_comes_back) {
    broker_rig r;
    queue& q = r.declare("q", {{"x-message-ttl", 100}});
    taker a(1);
    ASSERT_TRUE(consume(q, a));
    r.publish("q", "a");
    r.pass(200ms);
    EXPECT_EQ(q.unacked_count(), 1u);
    a.requeue();
    EXPECT_EQ(q.unacked_count(), 0u);
    EXPECT_EQ(q.ready_count(), 0u);
    EXPECT_EQ(a.bodies.size(), 1u);
}

TEST(work_queue, an_unused_queue_expires_and_a_used_one_does_not) {
    broker_rig r;
    r.declare("q", {{"x-expires", 1'000}});
    r.pass(900ms);
    r.declare("q", {{"x-expires", 1'000}});  // that is a use
    r.pass(900ms);
    (void)r.get("q");
    r.pass(900ms);
    r.publish("q", "a");  // that is none
    taker a;
    r.pass(50ms);
    ASSERT_TRUE(consume(r.find("q"), a));
    r.pass(1h);
    r.find("q").cancel(a);
    r.pass(999ms);
    EXPECT_TRUE(r.host().find_queue("q", 1));
    r.pass(1ms);
    EXPECT_FALSE(r.host().find_queue("q", 1));
    EXPECT_EQ(r.model->next_due(), 0);
}

TEST(work_queue, overflow_drops_heads_or_rejects) {
    broker_rig r;
    r.declare("dead");
    r.declare("drop", {{"x-max-length", 2}, {"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", "dead"}});
    r.declare("reject", {{"x-max-length", 2},
                         {"x-overflow", "reject-publish"},
                         {"x-dead-letter-exchange", ""},
                         {"x-dead-letter-routing-key", "dead"}});
    r.declare("reject-dlx", {{"x-max-length", 2},
                             {"x-overflow", "reject-publish-dlx"},
                             {"x-dead-letter-exchange", ""},
                             {"x-dead-letter-routing-key", "dead"}});
    for (const char* const name : {"drop", "reject", "reject-dlx"}) {
        for (const char* const body : {"1", "2"}) EXPECT_FALSE(r.publish(name, body).rejected);
        EXPECT_EQ(r.publish(name, "3").rejected, name != std::string("drop")) << name;
    }
    EXPECT_THAT(r.drain("drop"), ElementsAre("2", "3"));
    EXPECT_THAT(r.drain("reject"), ElementsAre("1", "2"));
    EXPECT_THAT(r.drain("reject-dlx"), ElementsAre("1", "2"));
    EXPECT_THAT(r.drain("dead"), ElementsAre("1", "3")) << "of drop and of reject-dlx";
}

TEST(work_queue, octets_are_limited_as_bodies_and_correctly_after_a_restart) {
    broker_rig r;
    const amqp::table arguments{{"x-max-length-bytes", 10}};
    r.declare_durable("q", arguments);
    amqp::basic_properties large = with_headers({{"padding", std::string(200, 'p')}});
    large.delivery_mode = 2;
    for (const char* const body : {"aaa", "bbb", "ccc"}) r.publish("q", body, large);
    r.restart();
    r.publish("q", "d", large);
    EXPECT_EQ(r.find("q").ready_count(), 4u) << "ten octets";
    r.publish("q", "e", large);
    EXPECT_THAT(r.drain("q"), ElementsAre("bbb", "ccc", "d", "e"));
    r.publish("q", "0123456789", large);
    EXPECT_EQ(r.find("q").ready_count(), 1u);
    r.publish("q", "0123456789+", large);
    EXPECT_EQ(r.find("q").ready_count(), 0u) << "what does not fit alone does not stay";
}

TEST(work_queue, a_delivery_limit_counts_returns) {
    broker_rig r;
    r.declare_durable("dead");
    queue& q = r.declare_durable("q", {{"x-queue-type", "quorum"},
                                       {"x-delivery-limit", 2},
                                       {"x-dead-letter-exchange", ""},
                                       {"x-dead-letter-routing-key", "dead"}});
    taker a(1);
    ASSERT_TRUE(consume(q, a));
    r.publish("q", "poison");
    r.publish("q", "good");
    EXPECT_EQ(a.last.returns, 0u);
    a.requeue();
    EXPECT_EQ(a.last.returns, 1u);
    r.restart();  // the count is kept
    taker b(1);
    ASSERT_TRUE(consume(r.find("q"), b));
    EXPECT_EQ(b.last.returns, 1u);
    EXPECT_TRUE(b.last.redelivered);
    b.requeue();
    b.requeue();
    EXPECT_THAT(b.bodies, ElementsAre("poison", "poison", "good"));
    EXPECT_THAT(r.drain("dead"), ElementsAre("poison"));
}

TEST(work_queue, a_restart_keeps_what_is_durable_in_order_and_marks_what_was_out) {
    broker_rig r;
    queue& q = r.declare_durable("q");
    r.declare("gone");
    taker a(3);
    ASSERT_TRUE(consume(q, a));
    publish_numbers(r, "q", 0, 5, persistent());
    r.publish("q", "transient");
    publish_numbers(r, "q", 5, 8, persistent());
    a.ack(1);
    r.restart();
    EXPECT_FALSE(r.host().find_queue("gone", 1));
    std::vector<std::string> got;
    while (const auto one = r.get("q")) got.push_back(std::string(one->what->body()) + (one->redelivered ? "!" : ""));
    EXPECT_THAT(got, ElementsAre("0!", "2!", "3!", "4", "5", "6", "7"));
}

TEST(work_queue, a_deleted_queue_does_nothing_any_more) {
    broker_rig r;
    queue& q = r.declare_durable("q");
    const auto keep = q.shared_from_this();
    taker a(2);
    ASSERT_TRUE(consume(q, a));
    publish_numbers(r, "q", 0, 5, persistent());
    EXPECT_EQ(r.host().delete_queue("q", {}, 1), 3u);
    EXPECT_TRUE(a.told_gone);
    EXPECT_TRUE(q.gone());
    a.ack();
    a.requeue();
    q.deliver();
    q.on_alarm();
    q.wake(a);
    EXPECT_EQ(a.bodies.size(), 2u);
    EXPECT_EQ(q.ready_count(), 0u);
    r.restart();
    EXPECT_FALSE(r.host().find_queue("q", 1));
}

}  // namespace foz::broker
