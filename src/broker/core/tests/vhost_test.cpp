// Names: declared, bound, deleted, and what goes with them.
#include "broker/core/tests/rig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using amqp::reply_code;
using testing::ElementsAre;

bool has_exchange(broker_rig& r, const std::string& name) {
    return r.host().find_exchange(name).has_value();
}

}  // namespace

TEST(vhost, names_of_queues) {
    broker_rig r;
    const std::string made = r.declare("").name();
    EXPECT_TRUE(made.starts_with("amq.gen-")) << made;
    EXPECT_EQ(r.declare(made).name(), made) << "it may be declared by its name";
    const auto reserved = r.try_declare("amq.mine");
    ASSERT_FALSE(reserved);
    EXPECT_EQ(reserved.error(),
              (refusal{reply_code::access_refused, "queue name 'amq.mine' contains reserved prefix 'amq.*'"}));
    EXPECT_EQ(r.host().find_queue("none", 1).error(), (refusal{reply_code::not_found, "no queue 'none' in vhost '/'"}));
}

TEST(vhost, a_second_declaration_has_to_agree) {
    broker_rig r;
    r.declare_durable("q", {{"x-max-length", 5}});
    EXPECT_TRUE(r.try_declare("q", {{"x-max-length", std::int64_t{5}}}, {.durable = true}));
    EXPECT_EQ(r.try_declare("q", {}, {.durable = true}).error().code, reply_code::precondition_failed);
    EXPECT_EQ(r.try_declare("q", {{"x-max-length", 5}}).error().text,
              "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'");
    EXPECT_EQ(r.try_declare("q", {{"x-max-length", 5}}, {.durable = true, .auto_delete = true}).error().code,
              reply_code::precondition_failed);
}

TEST(vhost, an_exclusive_queue_is_its_owner_s) {
    broker_rig r;
    r.declare("mine", {}, {.exclusive = true}, 1);
    EXPECT_TRUE(r.try_declare("mine", {}, {.exclusive = true}, 1));
    EXPECT_EQ(r.try_declare("mine", {}, {.exclusive = true}, 2).error().code, reply_code::resource_locked);
    EXPECT_EQ(r.host().find_queue("mine", 2).error().code, reply_code::resource_locked);
    EXPECT_EQ(r.host().delete_queue("mine", {}, 2).error().code, reply_code::resource_locked);
    EXPECT_EQ(r.host()
                  .bind({.source = "amq.direct", .destination = "mine", .routing_key = "k", .arguments = {}}, 2)
                  .error()
                  .code,
              reply_code::resource_locked);
    EXPECT_TRUE(r.publish("mine", "anybody may").routed);
    r.bind("amq.direct", "mine", "k");
    r.host().leave(2);
    EXPECT_TRUE(r.host().find_queue("mine", 1));
    r.host().leave(1);
    EXPECT_EQ(r.host().find_queue("mine", 1).error().code, reply_code::not_found);
    EXPECT_FALSE(r.publish_to("amq.direct", "k", "nobody").routed);
}

TEST(vhost, deleting_looks_at_use_and_content) {
    broker_rig r;
    queue& q = r.declare("q");
    taker a(0);
    ASSERT_TRUE(consume(q, a));
    r.publish("q", "1");
    EXPECT_EQ(r.host().delete_queue("q", {.if_unused = true}, 1).error().text, "queue 'q' in vhost '/' in use");
    EXPECT_EQ(r.host().delete_queue("q", {.if_empty = true}, 1).error().text, "queue 'q' in vhost '/' not empty");
    EXPECT_EQ(r.host().delete_queue("q", {}, 1), 1u);
    EXPECT_EQ(r.host().delete_queue("q", {}, 1), 0u) << "once more is no error";
    EXPECT_TRUE(a.told_gone);
}

TEST(vhost, a_queue_that_deletes_itself_goes_after_its_last_consumer) {
    broker_rig r;
    queue& q = r.declare("q", {}, {.auto_delete = true});
    r.model->remove_unused();
    EXPECT_TRUE(r.host().find_queue("q", 1)) << "it never had one";
    taker a;
    taker b;
    ASSERT_TRUE(consume(q, a));
    ASSERT_TRUE(consume(q, b));
    q.cancel(a);
    r.model->remove_unused();
    EXPECT_TRUE(r.host().find_queue("q", 1));
    q.cancel(b);
    ASSERT_TRUE(r.model->has_unused());
    ASSERT_TRUE(consume(q, b)) << "somebody comes before it has gone";
    r.model->remove_unused();
    EXPECT_TRUE(r.host().find_queue("q", 1));
    q.cancel(b);
    r.model->remove_unused();
    EXPECT_FALSE(r.host().find_queue("q", 1));
}

TEST(vhost, exchanges) {
    broker_rig r;
    for (const char* const name : {"", "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"})
        EXPECT_TRUE(has_exchange(r, name)) << name;
    EXPECT_EQ(r.host().find_exchange("x").error(), (refusal{reply_code::not_found, "no exchange 'x' in vhost '/'"}));
    EXPECT_EQ(r.host().declare(exchange_request{.name = "x", .type = "odd", .arguments = {}}).error().code,
              reply_code::command_invalid);
    EXPECT_EQ(r.host().declare(exchange_request{.name = "amq.x", .type = "topic", .arguments = {}}).error().code,
              reply_code::access_refused);
    r.exchange_named("x", "topic", {.durable = true});
    EXPECT_EQ(
        r.host().declare(exchange_request{.name = "x", .type = "direct", .durable = true, .arguments = {}}).error(),
        (refusal{reply_code::precondition_failed,
                 "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'direct' but current is "
                 "'topic'"}));
    EXPECT_FALSE(r.host().declare(exchange_request{.name = "x", .type = "topic", .arguments = {}}));
    EXPECT_FALSE(r.host().delete_exchange("", false));
    EXPECT_FALSE(r.host().delete_exchange("amq.topic", false));
    EXPECT_TRUE(r.host().delete_exchange("not there", false));
    r.declare("q");
    r.bind("x", "q", "#");
    EXPECT_EQ(r.host().delete_exchange("x", true).error().text, "exchange 'x' in vhost '/' in use");
    EXPECT_TRUE(r.host().delete_exchange("x", false));
    EXPECT_FALSE(has_exchange(r, "x"));
}

TEST(vhost, bindings_need_both_ends_and_not_the_default_exchange) {
    broker_rig r;
    r.declare("q");
    const auto bind = [&](const std::string& source, const std::string& to) {
        const auto done = r.host().bind({.source = source, .destination = to, .routing_key = "k", .arguments = {}}, 1);
        return done ? std::string() : done.error().text;
    };
    EXPECT_EQ(bind("", "q"), "operation not permitted on the default exchange");
    EXPECT_EQ(bind("amq.direct", "none"), "no queue 'none' in vhost '/'");
    EXPECT_EQ(bind("none", "q"), "no exchange 'none' in vhost '/'");
    EXPECT_EQ(bind("amq.direct", "q"), "");
    EXPECT_EQ(bind("amq.direct", "q"), "") << "twice is once";
    EXPECT_TRUE(r.publish_to("amq.direct", "k", "1").routed);
    const binding_request gone{.source = "amq.direct", .destination = "q", .routing_key = "k", .arguments = {}};
    EXPECT_TRUE(r.host().unbind(gone, 1));
    EXPECT_TRUE(r.host().unbind(gone, 1)) << "once more is no error";
    EXPECT_FALSE(r.publish_to("amq.direct", "k", "2").routed);
}

TEST(vhost, an_exchange_that_deletes_itself_goes_with_its_last_binding) {
    broker_rig r;
    r.exchange_named("x", "fanout", {.auto_delete = true});
    EXPECT_TRUE(has_exchange(r, "x")) << "it never had one";
    r.declare("a");
    r.declare("b");
    r.bind("x", "a", "");
    r.bind("x", "b", "");
    EXPECT_TRUE(r.host().unbind({.source = "x", .destination = "a", .routing_key = "", .arguments = {}}, 1));
    EXPECT_TRUE(has_exchange(r, "x"));
    EXPECT_TRUE(r.host().delete_queue("b", {}, 1));
    EXPECT_FALSE(has_exchange(r, "x"));
}

// Whatever order the names are walked in: one that goes takes others with it that were to be looked at next.
TEST(vhost, a_chain_of_exchanges_goes_with_its_last_queue) {
    for (int shift = 0; shift < 8; ++shift) {
        broker_rig r;
        constexpr int count = 12;
        const auto name = [&](int i) { return "x" + std::to_string((i * 5 + shift * 7) % 97); };
        for (int i = 0; i < count; ++i) r.exchange_named(name(i), "fanout", {.auto_delete = true});
        r.exchange_named("end", "fanout");
        r.declare("q");
        for (int i = 0; i < count; ++i) {
            if (i + 1 < count) r.bind(name(i), name(i + 1), "", {}, true);
            r.bind(name(i), "end", "", {}, true);
        }
        r.bind("end", "q", "");
        EXPECT_TRUE(r.publish_to(name(0), "", "1").routed);
        EXPECT_THAT(r.drain("q"), ElementsAre("1"));
        EXPECT_TRUE(r.host().delete_exchange("end", false));
        for (int i = 0; i < count; ++i) EXPECT_FALSE(has_exchange(r, name(i))) << i;
    }
}

// As long as a client likes: neither a message that goes through it nor its end may need as much stack.
TEST(vhost, a_very_long_chain_of_exchanges) {
    constexpr int length = 100'000;
    broker_rig r;
    r.declare("q");
    const auto name = [](int i) { return "e" + std::to_string(i); };
    for (int i = 0; i < length; ++i)
        ASSERT_TRUE(r.host().declare(
            exchange_request{.name = name(i), .type = "fanout", .auto_delete = true, .arguments = {}}));
    for (int i = 0; i + 1 < length; ++i) r.bind(name(i), name(i + 1), "", {}, true);
    r.bind(name(length - 1), "q", "");
    EXPECT_TRUE(r.publish_to("e0", "", "through all of them").routed);
    EXPECT_EQ(r.host().find_queue("q", 1).value()->ready_count(), 1u);
    const std::size_t others = r.host().exchanges().size() - length;
    ASSERT_TRUE(r.host().delete_queue("q", {}, 1));
    EXPECT_EQ(r.host().exchanges().size(), others);
}

// Many bindings beside many others, of each kind of exchange, in and out of order.
TEST(vhost, queues_that_go_take_their_own_bindings_and_no_others) {
    for (const char* const source : {"amq.direct", "amq.fanout", "amq.topic", "amq.headers"}) {
        broker_rig r;
        constexpr int queues = 100, keys = 5;
        const auto name = [](int i) { return "q" + std::to_string(i); };
        for (int i = 0; i < queues; ++i) r.declare(name(i), {}, {.exclusive = true}, i % 2 ? 1 : 2);
        for (int k = 0; k < keys; ++k)
            for (int i = 0; i < queues; ++i) {
                const binding_request wish{.source = source,
                                           .destination = name(i),
                                           .routing_key = "k" + std::to_string(k),
                                           .arguments = {{"k", k}}};
                ASSERT_TRUE(r.host().bind(wish, i % 2 ? 1 : 2));
            }
        const exchange& from = *r.host().find_exchange(source).value();
        EXPECT_EQ(from.bindings().size(), std::size_t{queues} * keys);
        r.host().leave(1);
        EXPECT_EQ(from.bindings().size(), std::size_t{queues} * keys / 2) << source;
        EXPECT_TRUE(r.publish_to(source, "k3", "m", {.headers = amqp::table{{"k", 3}}}).routed);
        for (int i = 0; i < queues; i += 2)
            EXPECT_EQ(r.host().find_queue(name(i), 2).value()->ready_count(), 1u) << source << " " << i;
        r.host().leave(2);
        EXPECT_TRUE(from.bindings().empty());
        EXPECT_FALSE(r.publish_to(source, "k3", "m", {.headers = amqp::table{{"k", 3}}}).routed);
    }
}

TEST(vhost, a_circle_of_exchanges_can_be_deleted) {
    broker_rig r;
    for (const char* const name : {"a", "b"}) r.exchange_named(name, "fanout", {.durable = true, .auto_delete = true});
    r.bind("a", "b", "", {}, true);
    r.bind("b", "a", "", {}, true);
    r.bind("a", "a", "", {}, true);
    EXPECT_FALSE(r.publish_to("a", "", "1").routed);
    EXPECT_TRUE(r.host().delete_exchange("a", false));
    EXPECT_FALSE(has_exchange(r, "b"));
    EXPECT_EQ(r.disk.records.size(), 0u);
}

TEST(vhost, only_what_is_durable_is_written_down_and_deleting_takes_it_back) {
    broker_rig r;
    r.exchange_named("x", "topic", {.durable = true});
    r.exchange_named("transient", "topic");
    r.declare_durable("q");
    r.declare("mine", {}, {.durable = true, .exclusive = true});
    r.declare("transient");
    const std::size_t before = r.disk.records.size();
    EXPECT_EQ(before, 3u) << "x, q and how far queues are numbered";
    r.bind("x", "q", "a");
    r.bind("x", "q", "b", {{"k", 1}});
    r.bind("amq.fanout", "q", "");
    EXPECT_EQ(r.disk.records.size(), before + 3);
    r.bind("x", "transient", "a");
    r.bind("x", "mine", "a");
    r.bind("transient", "q", "a");
    r.bind("x", "transient", "a", {}, true);
    EXPECT_EQ(r.disk.records.size(), before + 3);
    EXPECT_TRUE(r.host().delete_exchange("x", false));
    EXPECT_EQ(r.disk.records.size(), before) << "q, numbers, amq.fanout's binding";
    EXPECT_TRUE(r.host().delete_queue("q", {}, 1));
    EXPECT_EQ(r.disk.records.size(), 1u);
}

}  // namespace foz::broker
