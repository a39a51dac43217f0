// Dead letters: where they go and what their headers say.
#include "broker/core/tests/rig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

// "queue reason count", the newest first.
std::vector<std::string> deaths(const message& what) {
    std::vector<std::string> out;
    const amqp::table headers = headers_of(what);
    const amqp::field_array* const all = amqp::as_array(headers.find("x-death"));
    for (const amqp::field_value& one : all ? *all : amqp::field_array()) {
        const amqp::table& death = *amqp::as_table(one);
        out.push_back(std::string(*amqp::as_string(death.find("queue"))) + " " +
                      std::string(*amqp::as_string(death.find("reason"))) + " " +
                      std::to_string(*amqp::as_int64(death.find("count"))));
    }
    return out;
}

std::string header(const message& what, std::string_view name) {
    const amqp::table headers = headers_of(what);
    return std::string(amqp::as_string(headers.find(name)).value_or("?"));
}

amqp::table to(const std::string& exchange, const std::string& key = "") {
    amqp::table out{{"x-dead-letter-exchange", exchange}};
    if (!key.empty()) out.set("x-dead-letter-routing-key", key);
    return out;
}

void reject_one(broker_rig& r, const std::string& from) {
    const auto one = r.get(from, false);
    r.find(from).reject(*one);
}

}  // namespace

TEST(dead_letter, a_death_is_written_down) {
    broker_rig r;
    r.exchange_named("x", "fanout");
    r.declare("work", to("", "dead"));
    r.declare("dead");
    r.bind("x", "work", "");
    amqp::basic_properties properties = with_headers({{"mine", 1}});
    properties.expiration = "60000";
    properties.message_id = "id";
    r.publish_to("x", "key", "body", properties);
    reject_one(r, "work");
    const auto dead = r.get("dead");
    ASSERT_TRUE(dead);
    EXPECT_EQ(dead->what->routing_key(), "dead");
    EXPECT_EQ(dead->what->exchange(), "");
    EXPECT_EQ(dead->what->body(), "body");
    EXPECT_FALSE(dead->what->expiration()) << "or it would die again";
    EXPECT_EQ(amqp::decode_properties(dead->what->properties()).message_id, "id");
    EXPECT_THAT(deaths(*dead->what), ElementsAre("work rejected 1"));
    EXPECT_EQ(header(*dead->what, "x-first-death-reason"), "rejected");
    EXPECT_EQ(header(*dead->what, "x-first-death-queue"), "work");
    EXPECT_EQ(header(*dead->what, "x-first-death-exchange"), "x");
    const amqp::table headers = headers_of(*dead->what);
    const amqp::table& death = *amqp::as_table(amqp::as_array(headers.find("x-death"))->front());
    EXPECT_EQ(amqp::as_string(death.find("exchange")), "x");
    EXPECT_EQ(amqp::as_string(amqp::as_array(death.find("routing-keys"))->front()), "key");
    EXPECT_EQ(amqp::as_string(death.find("original-expiration")), "60000");
    EXPECT_EQ(amqp::as_timestamp(death.find("time")), static_cast<std::uint64_t>(r.time.passed.count() / 1000));
    EXPECT_TRUE(headers.find("mine"));
}

TEST(dead_letter, each_reason_has_its_name) {
    broker_rig r;
    r.declare("dead");
    const auto with = [](amqp::table more) {
        amqp::table all = to("", "dead");
        for (const auto& one : more) all.set(one.key, one.value);
        return all;
    };
    r.declare("reject", with({}));
    r.declare("expire", with({{"x-message-ttl", 10}}));
    r.declare("full", with({{"x-max-length", 0}}));
    r.declare_durable("limit", with({{"x-queue-type", "quorum"}, {"x-delivery-limit", 0}}));
    for (const char* const name : {"reject", "expire", "full", "limit"}) r.publish(name, name);
    reject_one(r, "reject");
    r.find("limit").give_back(*r.get("limit", false));
    r.pass(10ms);
    std::vector<std::string> got;
    while (const auto one = r.get("dead")) got.push_back(deaths(*one->what).at(0));
    EXPECT_THAT(got, testing::UnorderedElementsAre("full maxlen 1", "reject rejected 1", "limit delivery_limit 1",
                                                   "expire expired 1"));
}

TEST(dead_letter, the_same_death_again_is_counted_and_comes_first) {
    broker_rig r;
    r.declare("a", to("", "b"));
    r.declare("b", to("", "a"));
    r.publish("a", "m");
    reject_one(r, "a");
    reject_one(r, "b");
    reject_one(r, "a");
    const auto got = r.get("b");
    ASSERT_TRUE(got);
    EXPECT_THAT(deaths(*got->what), ElementsAre("a rejected 2", "b rejected 1"));
    EXPECT_EQ(header(*got->what, "x-first-death-queue"), "a");
}

TEST(dead_letter, a_message_that_would_go_round_by_itself_is_dropped) {
    broker_rig r;
    amqp::table a = to("", "b");
    a.set("x-message-ttl", 10);
    amqp::table b = to("", "a");
    b.set("x-message-ttl", 10);
    r.declare("a", a);
    r.declare("b", b);
    r.publish("a", "m");
    for (int i = 0; i < 10; ++i) r.pass(10ms);
    EXPECT_EQ(r.find("a").ready_count() + r.find("b").ready_count(), 0u);
    EXPECT_EQ(r.model->next_due(), 0);
    // With somebody's rejection in the circle it goes on.
    r.publish("a", "m");
    r.pass(10ms);
    reject_one(r, "b");
    EXPECT_EQ(r.find("a").ready_count(), 1u);
    r.pass(10ms);
    EXPECT_EQ(r.find("b").ready_count(), 1u);
}

TEST(dead_letter, full_queues_that_are_each_other_s_do_not_run_for_ever) {
    broker_rig r;
    amqp::table a = to("", "b");
    a.set("x-max-length", 1);
    amqp::table b = to("", "a");
    b.set("x-max-length", 1);
    r.declare("a", a);
    r.declare("b", b);
    amqp::table own = to("", "self");
    own.set("x-max-length", 1);
    r.declare("self", own);
    for (int i = 0; i < 10; ++i) {
        r.publish("a", std::to_string(i));
        r.publish("b", std::to_string(i));
        r.publish("self", std::to_string(i));
    }
    EXPECT_EQ(r.find("a").ready_count(), 1u);
    EXPECT_EQ(r.find("b").ready_count(), 1u);
    EXPECT_THAT(r.drain("self"), ElementsAre("9"));
}

TEST(dead_letter, without_a_key_of_its_own_it_keeps_keys_and_copies) {
    broker_rig r;
    r.exchange_named("d", "direct");
    r.declare("q", to("d"));
    r.declare("one");
    r.declare("two");
    r.bind("d", "one", "q");
    r.bind("d", "two", "copy");
    r.publish("q", "m", with_headers({{"CC", amqp::field_array{amqp::field_value("copy")}}}));
    reject_one(r, "q");
    EXPECT_THAT(r.drain("one"), ElementsAre("m"));
    EXPECT_THAT(r.drain("two"), ElementsAre("m"));
    amqp::table fixed = to("d", "q");
    r.declare("fixed", fixed);
    r.publish("fixed", "n", with_headers({{"CC", amqp::field_array{amqp::field_value("copy")}}}));
    reject_one(r, "fixed");
    EXPECT_THAT(r.drain("one"), ElementsAre("n"));
    EXPECT_THAT(r.drain("two"), IsEmpty()) << "a key of its own replaces all of them";
}

TEST(dead_letter, an_exchange_that_is_not_there_loses_it) {
    broker_rig r;
    r.declare("q", to("nowhere"));
    r.publish("q", "m");
    reject_one(r, "q");
    EXPECT_EQ(r.find("q").ready_count(), 0u);
}

TEST(dead_letter, an_x_death_that_is_none_does_no_harm) {
    broker_rig r;
    r.declare("q", to("", "dead"));
    r.declare("dead");
    for (const amqp::field_value& odd :
         {amqp::field_value("text"), amqp::field_value(amqp::field_array{amqp::field_value(1), amqp::field_value()}),
          amqp::field_value(amqp::field_array{amqp::field_value(amqp::table{{"queue", 7}})}),
          amqp::field_value(amqp::field_array{
              amqp::field_value(amqp::table{{"queue", "q"}, {"reason", "rejected"}, {"count", "many"}})})}) {
        r.publish("q", "m", with_headers({{"x-death", odd}}));
        reject_one(r, "q");
        const auto got = r.get("dead");
        ASSERT_TRUE(got);
        EXPECT_TRUE(amqp::as_array(headers_of(*got->what).find("x-death")));
    }
}

}  // namespace foz::broker
