// The broker as a whole: alarms, and what a start on the same storage finds.
#include "broker/core/tests/rig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

}  // namespace

TEST(node, a_start_on_the_same_storage_finds_everything) {
    broker_rig r;
    r.exchange_named("x", "topic", {.durable = true, .arguments = {{"alternate-exchange", "lost"}}});
    r.exchange_named("lost", "fanout", {.durable = true});
    r.exchange_named("h", "headers", {.durable = true, .internal = true});
    r.exchange_named("transient", "fanout");
    r.declare_durable("q", {{"x-max-length", 100}});
    r.declare_durable("rest");
    r.declare_durable("s", {{"x-queue-type", "stream"}});
    r.bind("x", "q", "a.*");
    r.bind("x", "h", "h.#", {}, true);
    r.bind("h", "s", "", {{"x-match", "any"}, {"k", 1}});
    r.bind("lost", "rest", "");
    const std::string long_key(255, 'k');
    r.bind("x", "q", long_key, {{long_key, long_key}});
    r.restart();
    EXPECT_TRUE(r.publish_to("x", "a.b", "1", persistent()).routed);
    EXPECT_TRUE(r.publish_to("x", "nobody", "2", persistent()).routed);
    EXPECT_TRUE(r.publish_to("x", long_key, "3", persistent()).routed);
    EXPECT_TRUE(r.publish_to("x", "h.a", "4", with_headers({{"k", 1}})).routed);
    EXPECT_TRUE((*r.host().find_exchange("h"))->identity().internal);
    EXPECT_FALSE(r.host().find_exchange("transient"));
    r.restart();
    r.restart();
    EXPECT_THAT(r.drain("q"), ElementsAre("1", "3"));
    EXPECT_THAT(r.drain("rest"), ElementsAre("2"));
    taker reader;
    const amqp::field_value first("first");
    ASSERT_TRUE(consume(r.find("s"), reader, &first));
    EXPECT_THAT(reader.bodies, ElementsAre("4"));
    EXPECT_TRUE(r.try_declare("q", {{"x-max-length", 100}}, {.durable = true}));
    EXPECT_FALSE(r.try_declare("q", {}, {.durable = true}));
}

TEST(node, a_queue_declared_again_after_a_deletion_is_empty_also_after_a_start) {
    broker_rig r;
    r.declare_durable("q");
    r.publish("q", "old", persistent());
    EXPECT_TRUE(r.host().delete_queue("q", {}, 1));
    r.declare_durable("q");
    r.publish("q", "new", persistent());
    r.restart();
    EXPECT_THAT(r.drain("q"), ElementsAre("new"));
    EXPECT_EQ(r.disk.logs.size(), 1u);
}

TEST(node, queue_numbers_are_never_used_twice) {
    broker_rig r;
    std::set<queue_number> seen;
    for (int run = 0; run < 3; ++run) {
        for (int i = 0; i < 2'000; ++i) {
            queue& q = r.declare("q" + std::to_string(i));
            EXPECT_TRUE(seen.insert(q.identity().number).second);
        }
        r.restart();
    }
}

TEST(node, virtual_hosts_know_nothing_of_each_other) {
    memory_storage disk;
    manual_clock time;
    seeded_random random;
    {
        node model(disk, time, random);
        model.start({"a", "b"});
        ASSERT_TRUE(model.find_vhost("a")->declare({.name = "q", .flags = {.durable = true}, .arguments = {}}, 1));
        EXPECT_FALSE(model.find_vhost("b")->find_queue("q", 1));
        EXPECT_FALSE(model.find_vhost("/"));
    }
    disk.restart();
    node model(disk, time, random);
    model.start({"b", "a"});
    EXPECT_TRUE(model.find_vhost("a")->find_queue("q", 1));
    EXPECT_FALSE(model.find_vhost("b")->find_queue("q", 1));
    // One that is not made at this start keeps its records.
    disk.restart();
    node other(disk, time, random);
    other.start({"b"});
    EXPECT_EQ(disk.records.size(), 2u);
}

TEST(node, alarms_ring_in_order_and_the_nearest_is_told) {
    broker_rig r;
    int nearer = 0;
    r.model->on_next_due([&] { ++nearer; });
    const std::int64_t now = r.time.passed.count();
    for (const auto& [name, ttl] : {std::pair("late", 300), {"early", 100}, {"middle", 200}}) {
        r.declare(name, {{"x-message-ttl", ttl}});
        r.publish(name, "m");
    }
    EXPECT_EQ(nearer, 2) << "late, and early before it";
    EXPECT_EQ(r.model->next_due(), now + 100);
    r.pass(100ms);
    EXPECT_EQ(r.model->next_due(), now + 200);
    EXPECT_TRUE(r.host().delete_queue("middle", {}, 1));
    EXPECT_EQ(r.model->next_due(), now + 300);
    r.pass(1h);
    EXPECT_EQ(r.model->next_due(), 0);
    EXPECT_EQ(r.find("late").ready_count(), 0u);
}

TEST(node, expirations_that_were_due_while_it_was_down_happen_at_the_start) {
    broker_rig r;
    r.declare_durable("q", {{"x-message-ttl", 1'000}});
    r.publish("q", "old", persistent());
    r.time.passed += 1h;
    r.restart();
    EXPECT_LT(r.model->next_due(), r.time.passed.count()) << "at once";
    r.model->run_due();
    EXPECT_EQ(r.find("q").ready_count(), 0u);
    r.publish("q", "new", persistent());
    r.restart();
    EXPECT_EQ(r.find("q").ready_count(), 1u);
    r.pass(1s);
    EXPECT_EQ(r.find("q").ready_count(), 0u);
}

// At the start a queue may have dead letters for one that is restored after it.
TEST(node, what_expired_while_it_was_down_becomes_a_dead_letter_whatever_the_names_are) {
    for (const auto& [from, to] : {std::pair("a", "b"), {"b", "a"}}) {
        broker_rig r;
        r.exchange_named("d", "fanout", {.durable = true});
        r.declare_durable(from, {{"x-message-ttl", 1'000}, {"x-dead-letter-exchange", "d"}});
        r.declare_durable(to);
        r.bind("d", to, "");
        r.publish(from, "m", persistent());
        r.time.passed += 1h;
        r.restart();
        r.model->run_due();
        EXPECT_EQ(r.find(from).ready_count(), 0u);
        EXPECT_THAT(r.drain(to), ElementsAre("m")) << from << " to " << to;
    }
}

TEST(node, a_queue_that_expires_while_others_ring_is_gone_once) {
    broker_rig r;
    for (int i = 0; i < 50; ++i)
        r.declare("q" + std::to_string(i), {{"x-expires", 100 + i % 3}, {"x-message-ttl", 50}});
    for (int i = 0; i < 50; ++i) r.publish("q" + std::to_string(i), "m");
    r.pass(1s);
    EXPECT_TRUE(r.host().queues().empty());
    EXPECT_EQ(r.model->next_due(), 0);
}

}  // namespace foz::broker
