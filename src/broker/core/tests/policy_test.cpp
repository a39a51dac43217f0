#include "broker/core/policy.hpp"

#include "broker/core/tests/rig.hpp"

#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;

policy made(std::string name, std::string pattern, std::int64_t priority, amqp::table definition,
            policy_target target = policy_target::all) {
    return {.vhost = "/",
            .name = std::move(name),
            .pattern = std::move(pattern),
            .apply_to = target,
            .priority = priority,
            .definition = std::move(definition)};
}

queue_settings merged(const amqp::table& arguments, const amqp::table& definition) {
    auto settings = read_arguments(arguments, {.durable = true}, "queue 'q' in vhost '/'");
    const auto said = read_policy(made("p", "", 0, definition));
    EXPECT_TRUE(settings) << settings.error().text;
    EXPECT_TRUE(said) << said.error().text;
    merge(*settings, arguments, *said);
    return *settings;
}

TEST(policy, of_two_numbers_the_lower_one_counts) {
    const auto both = merged({{"x-max-length", 10}, {"x-message-ttl", 500}, {"x-expires", 1000}},
                             {{"max-length", 20}, {"message-ttl", 100}, {"expires", 2000}, {"max-length-bytes", 7}});
    EXPECT_EQ(both.length_max, 10u);
    EXPECT_EQ(both.message_ttl, 100ms);
    EXPECT_EQ(both.expires, 1000ms);
    EXPECT_EQ(both.bytes_max, 7u);
    const auto limit =
        merged({{"x-queue-type", "quorum"}, {"x-delivery-limit", 5}}, {{"delivery-limit", 2}, {"max-length", 3}});
    EXPECT_EQ(limit.delivery_limit, 2u);
    EXPECT_EQ(limit.length_max, 3u);
}

TEST(policy, of_what_is_no_number_the_argument_counts) {
    const auto both =
        merged({{"x-overflow", "drop-head"}, {"x-dead-letter-exchange", "mine"}},
               {{"overflow", "reject-publish"}, {"dead-letter-exchange", "theirs"}, {"dead-letter-routing-key", "k"}});
    EXPECT_EQ(both.when_full, overflow::drop_head);
    EXPECT_EQ(both.dead_letter_exchange, "mine");
    EXPECT_EQ(both.dead_letter_routing_key, "k");
    const auto alone = merged({}, {{"overflow", "reject-publish"}, {"dead-letter-exchange", "theirs"}});
    EXPECT_EQ(alone.when_full, overflow::reject_publish);
    EXPECT_EQ(alone.dead_letter_exchange, "theirs");
}

TEST(policy, a_quorum_queue_dead_letters_at_least_once_when_both_together_ask_for_it) {
    const amqp::table quorum{{"x-queue-type", "quorum"}, {"x-dead-letter-strategy", "at-least-once"}};
    EXPECT_FALSE(merged(quorum, {{"dead-letter-exchange", "d"}}).dead_letter_at_least_once);
    EXPECT_TRUE(
        merged(quorum, {{"dead-letter-exchange", "d"}, {"overflow", "reject-publish"}}).dead_letter_at_least_once);
}

TEST(policy, a_stream_takes_retention_and_nothing_else) {
    const amqp::table stream{{"x-queue-type", "stream"}, {"x-max-age", "2h"}};
    const auto both = merged(stream, {{"max-age", "1h"},
                                      {"max-length-bytes", 1000},
                                      {"stream-max-segment-size-bytes", 100},
                                      {"message-ttl", 5},
                                      {"max-length", 5},
                                      {"dead-letter-exchange", "d"}});
    EXPECT_EQ(both.age_max, 1h);
    EXPECT_EQ(both.bytes_max, 1000u);
    EXPECT_EQ(both.segment_bytes, 100u);
    EXPECT_FALSE(both.message_ttl || both.length_max || both.dead_letter_exchange);
    EXPECT_EQ(merged({{"x-queue-type", "stream"}, {"x-stream-max-segment-size-bytes", 50}},
                     {{"stream-max-segment-size-bytes", 100}})
                  .segment_bytes,
              50u);
}

TEST(policy, the_highest_priority_that_matches_applies_alone) {
    const policy_list rules({made("weak", "^q", 1, {{"max-length", 1}, {"message-ttl", 1}}),
                             made("strong", "^q1", 2, {{"max-length", 2}}), made("other", "^x", 9, {{"max-length", 9}}),
                             made("b", "tie", 3, {{"max-length", 4}}), made("a", "tie", 3, {{"max-length", 3}})},
                            "/");
    const policy_settings* const strong = rules.of_queue("q1", queue_kind::classic);
    ASSERT_TRUE(strong);
    EXPECT_EQ(strong->length_max, 2u);
    EXPECT_FALSE(strong->message_ttl);
    EXPECT_EQ(rules.of_queue("q2", queue_kind::classic)->length_max, 1u);
    EXPECT_EQ(rules.of_queue("a tie", queue_kind::classic)->length_max, 3u);
    EXPECT_FALSE(rules.of_queue("nothing", queue_kind::classic));
}

TEST(policy, it_applies_to_what_it_says_in_its_virtual_host) {
    policy elsewhere = made("p", "", 5, {{"max-length", 1}});
    elsewhere.vhost = "other";
    const policy_list rules({elsewhere, made("queues", "", 0, {{"max-length", 2}}, policy_target::queues),
                             made("streams", "", 1, {{"max-age", "1h"}}, policy_target::streams),
                             made("exchanges", "", 2, {{"alternate-exchange", "ae"}}, policy_target::exchanges)},
                            "/");
    EXPECT_EQ(rules.of_queue("q", queue_kind::classic)->length_max, 2u);
    EXPECT_EQ(rules.of_queue("q", queue_kind::stream)->age_max, 1h);
    EXPECT_EQ(rules.of_exchange("x")->alternate_exchange, "ae");
}

TEST(policy, what_can_not_be_is_said_with_its_key) {
    const auto problem = [](amqp::table definition, std::string pattern = "") {
        const auto read = read_policy(made("p", std::move(pattern), 0, std::move(definition)));
        return read ? std::string("none") : read.error().at + ": " + read.error().text;
    };
    EXPECT_EQ(problem({{"max-length", -1}}), "definition.max-length: must be a whole number, not negative");
    EXPECT_EQ(problem({{"expires", 0}}), "definition.expires: must be a whole number above 0");
    EXPECT_EQ(problem({{"message-ttl", std::int64_t{315'360'000'001}}}),
              "definition.message-ttl: must be at most 315360000000 (milliseconds)");
    EXPECT_EQ(problem({{"message-ttl", std::int64_t{5'184'000'000}}, {"delivery-limit", -1}}), "none");  // 60 days
    EXPECT_EQ(problem({{"overflow", "drop"}}),
              "definition.overflow: must be one of drop-head, reject-publish, reject-publish-dlx");
    EXPECT_EQ(problem({{"max-age", "7"}}),
              "definition.max-age: must be a number with a unit, as in 7D, 36h, 90m or 20s");
    EXPECT_EQ(problem({{"dead-letter-exchange", 1}}), "definition.dead-letter-exchange: must be a string");
    EXPECT_NE(problem({}, "["), "none");
}

TEST(policy, keys_that_nobody_knows_are_listed) {
    const auto read = read_policy(made("p", "", 0, {{"ha-mode", "all"}, {"max-length", 1}}));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->unknown, std::vector<std::string>{"ha-mode"});
}

// The same folder, as it were, with these policies.
void restart(broker_rig& r, const std::vector<policy>& policies) {
    r.model.reset();
    r.disk.restart();
    r.model.emplace(r.disk, r.time, r.random);
    r.model->start({"/"}, policies);
    r.disk.erase_unopened();
    r.model->run_due();
}

TEST(policy, a_start_applies_it_to_queues_that_are_there_and_their_arguments_stay_what_they_were) {
    broker_rig r;
    r.declare_durable("dead");
    r.declare_durable("q");
    for (const char* const body : {"1", "2", "3", "4"}) r.publish("q", body, {.delivery_mode = 2});
    r.commit();
    restart(r, {made("p", "^q$", 0,
                     {{"max-length", 2}, {"dead-letter-exchange", ""}, {"dead-letter-routing-key", "dead"}})});
    EXPECT_EQ(r.drain("dead"), (std::vector<std::string>{"1", "2"}));
    r.publish("q", "5", {.delivery_mode = 2});
    EXPECT_EQ(r.drain("dead"), (std::vector<std::string>{"3"}));
    EXPECT_TRUE(r.try_declare("q", {}, {.durable = true}));
    EXPECT_FALSE(r.try_declare("q", {{"x-max-length", 2}}, {.durable = true}));
    r.commit();
    restart(r, {});
    for (int i = 0; i < 5; ++i) r.publish("q", "more", {.delivery_mode = 2});
    EXPECT_EQ(r.find("q").ready_count(), 7u);
}

TEST(policy, a_stream_is_shortened_by_whole_segments) {
    broker_rig r;
    r.declare_durable("s", {{"x-queue-type", "stream"}});
    for (int i = 0; i < 100; ++i) r.publish("s", std::string(100, 'x'));
    r.commit();
    restart(r, {made("p", "", 0, {{"max-length-bytes", 2'000}, {"stream-max-segment-size-bytes", 500}})});
    // What is there is one segment; only a segment that is full goes.
    for (int i = 0; i < 100; ++i) {
        r.publish("s", std::string(100, 'x'));
        r.commit();
    }
    const std::uint64_t left = r.disk.logs.at(r.find("s").identity().number).entries.size();
    EXPECT_GT(left, 10u);
    EXPECT_LT(left, 30u);
}

TEST(policy, an_exchange_gets_an_alternate_one_unless_it_has_one) {
    broker_rig r;
    for (const char* const name : {"said", "argued"}) r.declare_durable(name);
    r.exchange_named("plain", "direct", {.durable = true, .arguments = {}});
    r.exchange_named("own", "direct", {.durable = true, .arguments = {{"alternate-exchange", "amq.direct"}}});
    r.bind("amq.fanout", "said", "");
    r.bind("amq.direct", "argued", "k");
    r.commit();
    restart(r, {made("p", "^(plain|own)$", 0, {{"alternate-exchange", "amq.fanout"}}, policy_target::exchanges)});
    r.publish_to("plain", "k", "1");
    r.publish_to("own", "k", "2");
    EXPECT_EQ(r.drain("said"), std::vector<std::string>{"1"});
    EXPECT_EQ(r.drain("argued"), std::vector<std::string>{"2"});
}

}  // namespace
}  // namespace foz::broker
