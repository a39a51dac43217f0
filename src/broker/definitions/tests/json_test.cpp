#include "broker/definitions/json.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

read_definitions parsed(std::string_view json) {
    auto read = parse_definitions(json, system_random());
    EXPECT_TRUE(read) << read.error();
    return read ? std::move(*read) : read_definitions();
}

std::string error_of(std::string_view json) {
    const auto read = parse_definitions(json, system_random());
    return read ? "none" : read.error();
}

// As `rabbitmqctl export_definitions` of 3.10 writes it.
constexpr std::string_view exported = R"({
  "bindings": [
    {"arguments": {}, "destination": "ex", "destination_type": "exchange", "routing_key": "k", "source": "amq.topic",
     "vhost": "/"},
    {"arguments": {"b": true, "n": 1, "f": 1.5, "t": {"a": [1, "2"]}}, "destination": "q", "destination_type": "queue",
     "routing_key": "a.*", "source": "ex", "vhost": "/"}],
  "exchanges": [{"arguments": {"alternate-exchange": "amq.fanout"}, "auto_delete": false, "durable": true,
                 "name": "ex", "type": "topic", "vhost": "/"}],
  "global_parameters": [], "parameters": [],
  "permissions": [{"configure": ".*", "read": "", "user": "guest", "vhost": "/", "write": "^x"}],
  "policies": [{"apply-to": "queues", "definition": {"max-length-bytes": 1000000000}, "name": "p", "pattern": "^OUT_",
                "priority": 3, "vhost": "/"}],
  "queues": [{"arguments": {"x-max-length": 10}, "auto_delete": false, "durable": true, "name": "q", "type": "classic",
              "vhost": "/"}],
  "rabbit_version": "3.10.8", "rabbitmq_version": "3.10.8", "topic_permissions": [],
  "users": [{"hashing_algorithm": "rabbit_password_hashing_sha256", "limits": {}, "name": "guest",
             "password_hash": "xcnO0cXA2Kayzpe3jIkd/jergdzetGJVXFflnM9CtCMOAxyw", "tags": ["administrator"]}],
  "vhosts": [{"limits": [], "metadata": {"description": "", "tags": []}, "name": "/"}]})";

TEST(definitions_json, what_rabbitmq_exports_is_read_whole) {
    const auto [set, warnings] = parsed(exported);
    EXPECT_THAT(warnings, ElementsAre());
    EXPECT_THAT(set.vhosts, ElementsAre("/"));
    ASSERT_EQ(set.users.size(), 1u);
    EXPECT_EQ(set.users[0].name, "guest");
    EXPECT_TRUE(check_password("guest", set.users[0].password_hash, set.users[0].algorithm));
    EXPECT_THAT(set.users[0].tags, ElementsAre("administrator"));
    EXPECT_THAT(set.permissions,
                ElementsAre(permission_definition{"guest", "/", {.configure = ".*", .write = "^x", .read = ""}}));
    ASSERT_TRUE(set.policies);
    EXPECT_THAT(*set.policies, ElementsAre(policy{.vhost = "/",
                                                  .name = "p",
                                                  .pattern = "^OUT_",
                                                  .apply_to = policy_target::queues,
                                                  .priority = 3,
                                                  .definition = {{"max-length-bytes", std::int64_t{1'000'000'000}}}}));
    ASSERT_EQ(set.exchanges.size(), 1u);
    EXPECT_EQ(set.exchanges[0].is.type, "topic");
    EXPECT_TRUE(set.exchanges[0].is.durable);
    ASSERT_EQ(set.queues.size(), 1u);
    EXPECT_EQ(amqp::as_int64(set.queues[0].is.arguments.find("x-max-length")), 10);
    ASSERT_EQ(set.bindings.size(), 2u);
    EXPECT_TRUE(set.bindings[0].is.to_exchange);
    EXPECT_EQ(set.bindings[1].is.arguments,
              (amqp::table{{"b", true},
                           {"n", std::int64_t{1}},
                           {"f", 1.5},
                           {"t", amqp::table{{"a", amqp::field_array{std::int64_t{1}, "2"}}}}}));
}

TEST(definitions_json, what_is_written_is_read_as_the_same) {
    const std::string once = to_json(parsed(exported).set);
    EXPECT_EQ(to_json(parsed(once).set), once);
}

TEST(definitions_json, a_plain_password_becomes_a_salted_hash) {
    constexpr std::string_view json = R"({"users": [{"name": "a", "password": "secret", "tags": "monitoring,x"}]})";
    const user_definition one = parsed(json).set.users.at(0);
    EXPECT_TRUE(check_password("secret", one.password_hash));
    EXPECT_THAT(one.tags, ElementsAre("monitoring", "x"));
    EXPECT_NE(one.password_hash, parsed(json).set.users.at(0).password_hash);
}

TEST(definitions_json, what_there_is_not_here_is_said_when_the_file_has_some_of_it) {
    const auto read = parsed(R"({"topic_permissions": [{"user": "a"}], "parameters": [1], "operator_policies": [],
        "global_parameters": [{"name": "cluster_name"}], "vhosts": [{"name": "a", "limits": {"max-queues": 1}}],
        "policies": [{"vhost": "a", "name": "p", "pattern": "", "definition": {"ha-mode": "all"}}]})");
    EXPECT_THAT(read.warnings,
                ElementsAre("vhosts[0].limits: not supported, left out",
                            "policies[0].definition.ha-mode: has no effect on this broker",
                            "topic_permissions: not supported, left out", "parameters: not supported, left out",
                            "global_parameters: not supported, left out"));
}

TEST(definitions_json, errors_begin_with_the_path) {
    const std::pair<const char*, const char*> cases[] = {
        {"[]", "must be an object"},
        {"{", "not valid JSON"},
        {R"({"queues": {}})", "queues: must be an array"},
        {R"({"queues": [1]})", "queues[0]: must be an object"},
        {R"({"queues": [{"vhost": "/"}]})", "queues[0].name: is missing"},
        {R"({"queues": [{"name": "q"}]})", "queues[0].vhost: is missing"},
        {R"({"queues": [{"name": "q", "vhost": "/", "durable": 1}]})", "queues[0].durable: must be true or false"},
        {R"({"queues": [{"name": "q", "vhost": "/", "arguments": {"a": [18446744073709551615]}}]})",
         "queues[0].arguments.a[0]: is too large a number"},
        {R"({"bindings": [{"source": "x", "vhost": "/", "destination": "q", "destination_type": "topic"}]})",
         "bindings[0].destination_type: must be"},
        {R"({"policies": [{"vhost": "/", "name": "p", "pattern": "(", "definition": {}}]})", "policies[0].pattern: "},
        {R"({"policies": [{"vhost": "/", "name": "p", "apply-to": "x", "definition": {}}]})", "policies[0].apply-to: "},
        {R"({"policies": [{"vhost": "/", "name": "p", "definition": {"max-length": "1"}}]})",
         "policies[0].definition.max-length: "},
        {R"({"users": [{"name": "a"}]})", "users[0].password_hash: is missing, and so is a password"},
        {R"({"users": [{"name": "a", "password_hash": "AAAA"}]})", "users[0].password_hash: is not base64"},
        {R"({"users": [{"name": "a", "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_md5"}]})",
         "users[0].hashing_algorithm: "},
        {R"({"permissions": [{"user": "a", "vhost": "/", "configure": "", "write": ""}]})",
         "permissions[0].read: is missing"},
    };
    for (const auto& [json, expected] : cases) EXPECT_THAT(error_of(json), HasSubstr(expected)) << json;
}

TEST(definitions_json, arguments_nested_beyond_what_the_protocol_carries_are_refused) {
    std::string deep = "1";
    for (int i = 0; i < 100; ++i) deep = "[" + deep + "]";
    EXPECT_THAT(error_of(R"({"queues": [{"name": "q", "vhost": "/", "arguments": {"a": )" + deep + "}}]}"),
                HasSubstr("is nested too deeply"));
}

TEST(definitions_json, a_file_that_is_not_there_is_said_with_its_name) {
    const auto read = load_definitions("no/such/file.json", system_random());
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error(), "no/such/file.json: No such file or directory");
}

TEST(definitions_json, octets_that_are_no_text_do_not_break_the_file) {
    definition_set set;
    set.vhosts = {"/"};
    set.queues.push_back({"/", {.name = "a\xff", .flags = {}, .arguments = {{"x", amqp::byte_array{"\xfe"}}}}});
    EXPECT_EQ(parsed(to_json(set)).set.queues.at(0).is.name, "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace foz::broker
