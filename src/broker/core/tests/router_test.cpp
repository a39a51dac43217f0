// Which bindings a message finds, for each kind of exchange.
#include "broker/core/tests/rig.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// An exchange of which bindings lead to numbered destinations.
struct routing {
    explicit routing(exchange_kind kind) : tested({.name = "x", .kind = kind, .arguments = {}}) {
        for (int i = 0; i < 40; ++i)
            ends.push_back(std::make_unique<exchange>(exchange_identity{.name = std::to_string(i), .arguments = {}}));
    }
    binding to(std::size_t end, std::string key, amqp::table arguments = {}) const {
        return {
            .to = {.to_exchange = ends[end].get()}, .routing_key = std::move(key), .arguments = std::move(arguments)};
    }
    // Of the destinations, each once.
    std::vector<int> route(std::string_view key, const amqp::table& headers = {}) const {
        routed_message what{.routing_key = key, .properties = {}, .headers = &headers, .decoded = {}};
        std::vector<destination> found;
        tested.route(what, found);
        std::vector<int> out;
        for (const destination& one : found) out.push_back(std::stoi(one.to_exchange->name()));
        std::ranges::sort(out);
        const auto twice = std::ranges::unique(out);
        out.erase(twice.begin(), twice.end());
        return out;
    }

    std::vector<std::unique_ptr<exchange>> ends;
    exchange tested;
};

std::vector<std::string> words(std::string_view key) {
    std::vector<std::string> out;
    if (key.empty()) return out;
    for (;;) {
        const std::size_t dot = key.find('.');
        out.emplace_back(key.substr(0, dot));
        if (dot == std::string_view::npos) return out;
        key.remove_prefix(dot + 1);
    }
}

// AMQP 0-9-1 §3.1.3.3 in the plainest words.
bool matches(const std::vector<std::string>& pattern, std::size_t p, const std::vector<std::string>& key,
             std::size_t k) {
    if (p == pattern.size()) return k == key.size();
    if (pattern[p] == "#")
        return matches(pattern, p + 1, key, k) || (k < key.size() && matches(pattern, p, key, k + 1));
    return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) && matches(pattern, p + 1, key, k + 1);
}

std::string join(const std::vector<std::string>& all) {
    std::string out;
    for (std::size_t i = 0; i < all.size(); ++i) out.append(i == 0 ? "" : ".").append(all[i]);
    return out;
}

}  // namespace

TEST(router, direct_compares_whole_keys) {
    routing r(exchange_kind::direct);
    r.tested.bind(r.to(0, "a"));
    r.tested.bind(r.to(1, "a"));
    r.tested.bind(r.to(2, "a.b"));
    r.tested.bind(r.to(3, ""));
    EXPECT_THAT(r.route("a"), ElementsAre(0, 1));
    EXPECT_THAT(r.route("a.b"), ElementsAre(2));
    EXPECT_THAT(r.route(""), ElementsAre(3));
    EXPECT_THAT(r.route("A"), IsEmpty());
}

TEST(router, fanout_ignores_the_key) {
    routing r(exchange_kind::fanout);
    r.tested.bind(r.to(0, "a"));
    r.tested.bind(r.to(1, "b"));
    EXPECT_THAT(r.route("c"), ElementsAre(0, 1));
}

TEST(router, bindings_are_sets_and_the_last_of_a_destination_counts) {
    for (const exchange_kind kind :
         {exchange_kind::direct, exchange_kind::fanout, exchange_kind::topic, exchange_kind::headers}) {
        routing r(kind);
        EXPECT_TRUE(r.tested.bind(r.to(0, "k")));
        EXPECT_FALSE(r.tested.bind(r.to(0, "k"))) << "the same once more";
        EXPECT_TRUE(r.tested.bind(r.to(0, "k", {{"a", 1}}))) << "other arguments are another binding";
        EXPECT_TRUE(r.tested.unbind(r.to(0, "k")));
        EXPECT_FALSE(r.tested.unbind(r.to(0, "k")));
        EXPECT_THAT(r.route("k", {{"a", 1}}), ElementsAre(0)) << to_string(kind);
        EXPECT_EQ(r.tested.unbind_all({.to_exchange = r.ends[0].get()}).size(), 1u);
        EXPECT_TRUE(r.tested.unbind_all({.to_exchange = r.ends[0].get()}).empty());
        EXPECT_THAT(r.route("k", {{"a", 1}}), IsEmpty()) << to_string(kind);
    }
}

TEST(router, topic_table) {
    struct row {
        const char* pattern;
        const char* key;
        bool matches;
    };
    const row rows[] = {
        {"a.b", "a.b", true},   {"a.b", "a.b.c", false},    {"a.b", "a", false},       {"a.*", "a.b", true},
        {"a.*", "a", false},    {"a.*", "a.b.c", false},    {"*.*", "a.b", true},      {"*", "", false},
        {"*", "a", true},       {"*", ".", false},          {"#", "", true},           {"#", "a", true},
        {"#", "a.b.c", true},   {"#", ".", true},           {"a.#", "a", true},        {"a.#", "a.b.c", true},
        {"a.#", "b.a", false},  {"#.a", "a", true},         {"#.a", "b.c.a", true},    {"#.a", "a.b", false},
        {"a.#.b", "a.b", true}, {"a.#.b", "a.x.y.b", true}, {"a.#.b", "a.b.c", false}, {"#.#", "", true},
        {"#.#", "a", true},     {"#.*", "", false},         {"#.*", "a", true},        {"*.#", "", false},
        {"*.#.*", "a", false},  {"*.#.*", "a.b", true},     {"#.*.#", "a.b.c", true},  {"", "", true},
        {"", "a", false},       {"a..b", "a..b", true},     {"a.*.b", "a..b", true},   {"a.#.b", "a..b", true},
        {".", ".", true},       {"*.*", ".", true},         {"a.b.", "a.b", false},    {"a.*", "a.", true},
        {"a*", "ab", false},    {"a*", "a*", true},         {"a#", "a", false},        {"*", "*", true},
        {"*", "#", true},       {"a.b", "a.*", false},      {"a.b", "a.#", false},     {"a.*", "a.#", true},
        {"Ä.b", "Ä.b", true},   {"a.b", "A.b", false},
    };
    for (const row& one : rows) {
        routing r(exchange_kind::topic);
        r.tested.bind(r.to(0, one.pattern));
        EXPECT_EQ(r.route(one.key).size(), one.matches ? 1u : 0u) << one.pattern << " on " << one.key;
    }
}

TEST(router, topic_agrees_with_the_plain_rule_while_bindings_come_and_go) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto some_words = [&](const std::vector<std::string>& alphabet) {
        std::vector<std::string> out(random() % 6);
        for (std::string& one : out) one = alphabet[random() % alphabet.size()];
        return out;
    };
    routing r(exchange_kind::topic);
    std::vector<std::string> bound(r.ends.size());
    std::vector<bool> there(r.ends.size());
    for (int step = 0; step < 5'000; ++step) {
        const std::size_t i = random() % bound.size();
        if (there[i]) {
            EXPECT_TRUE(r.tested.unbind(r.to(i, bound[i])));
        } else {
            bound[i] = join(some_words({"a", "b", "*", "#", ""}));
            EXPECT_TRUE(r.tested.bind(r.to(i, bound[i])));
        }
        there[i] = !there[i];
        const std::string key = join(some_words({"a", "b", "c", ""}));
        std::vector<int> expected;
        for (std::size_t end = 0; end < bound.size(); ++end)
            if (there[end] && matches(words(bound[end]), 0, words(key), 0)) expected.push_back(static_cast<int>(end));
        ASSERT_EQ(r.route(key), expected) << "step " << step << " key " << key;
    }
}

// The number of ways in which 60 times "#.a" covers 120 words has 33 digits.
TEST(router, a_hostile_topic_pattern_costs_no_more_than_its_length) {
    routing r(exchange_kind::topic);
    std::vector<std::string> pattern;
    for (int i = 0; i < 60; ++i) pattern.insert(pattern.end(), {"#", "a"});
    r.tested.bind(r.to(0, join(pattern)));
    EXPECT_THAT(r.route(join(std::vector<std::string>(120, "a"))), ElementsAre(0));
    EXPECT_THAT(r.route(join(std::vector<std::string>(59, "a"))), IsEmpty());
    std::vector<std::string> other(120, "a");
    other.back() = "b";
    EXPECT_THAT(r.route(join(other)), IsEmpty());
}

TEST(router, headers_table) {
    using amqp::table;
    struct row {
        const char* what;
        table wanted;
        table headers;
        bool matches;
    };
    const row rows[] = {
        {"all is the default", {{"a", 1}, {"b", "x"}}, {{"a", 1}, {"b", "x"}, {"c", 2}}, true},
        {"all: one is missing", {{"x-match", "all"}, {"a", 1}, {"b", "x"}}, {{"a", 1}}, false},
        {"all: one differs", {{"x-match", "all"}, {"a", 1}, {"b", "x"}}, {{"a", 1}, {"b", "y"}}, false},
        {"any: one agrees", {{"x-match", "any"}, {"a", 1}, {"b", "x"}}, {{"a", 2}, {"b", "x"}}, true},
        {"any: none agrees", {{"x-match", "any"}, {"a", 1}, {"b", "x"}}, {{"a", 2}}, false},
        {"integers of any width", {{"a", std::int64_t{7}}}, {{"a", std::int8_t{7}}}, true},
        {"a number is no text", {{"a", 7}}, {{"a", "7"}}, false},
        {"a void asks for the presence", {{"a", amqp::field_value()}}, {{"a", "anything"}}, true},
        {"a void and an absent header", {{"a", amqp::field_value()}}, {{"b", 1}}, false},
        {"x- counts for nothing", {{"x-a", 1}, {"b", 1}}, {{"b", 1}}, true},
        {"all-with-x: x- counts", {{"x-match", "all-with-x"}, {"x-a", 1}, {"b", 1}}, {{"b", 1}}, false},
        {"all-with-x: it is there", {{"x-match", "all-with-x"}, {"x-a", 1}, {"b", 1}}, {{"b", 1}, {"x-a", 1}}, true},
        {"any: x- counts for nothing", {{"x-match", "any"}, {"x-a", 1}}, {{"x-a", 1}}, false},
        {"any-with-x: x- counts", {{"x-match", "any-with-x"}, {"x-a", 1}, {"b", 1}}, {{"x-a", 1}}, true},
        {"no arguments: everything", {}, {{"a", 1}}, true},
        {"no arguments, no headers", {}, {}, true},
    };
    for (const row& one : rows) {
        routing r(exchange_kind::headers);
        r.tested.bind(r.to(0, "", one.wanted));
        EXPECT_EQ(r.route("any key", one.headers).size(), one.matches ? 1u : 0u) << one.what;
    }
}

TEST(router, exchanges_pass_on_to_exchanges_once_and_in_circles_too) {
    broker_rig r;
    r.exchange_named("a", "fanout");
    r.exchange_named("b", "topic");
    r.declare("q");
    r.declare("other");
    r.bind("a", "b", "", {}, true);
    r.bind("b", "a", "#", {}, true);
    r.bind("a", "q", "");
    r.bind("b", "q", "#");
    r.bind("b", "other", "x.*");
    EXPECT_TRUE(r.publish_to("a", "x.y", "1").routed);
    EXPECT_THAT(r.drain("q"), ElementsAre("1"));
    EXPECT_THAT(r.drain("other"), ElementsAre("1"));
}

TEST(router, the_alternate_exchange_gets_what_finds_nobody) {
    broker_rig r;
    r.exchange_named("last", "fanout");
    r.exchange_named("second", "direct", {.arguments = {{"alternate-exchange", "last"}}});
    r.exchange_named("first", "direct", {.arguments = {{"alternate-exchange", "second"}}});
    r.declare("found");
    r.declare("lost");
    r.bind("second", "found", "k");
    r.bind("last", "lost", "");
    r.publish_to("first", "k", "1");
    r.publish_to("first", "nobody", "2");
    EXPECT_THAT(r.drain("found"), ElementsAre("1"));
    EXPECT_THAT(r.drain("lost"), ElementsAre("2"));
}

TEST(router, copies_go_to_each_queue_once_and_bcc_is_not_seen) {
    broker_rig r;
    for (const char* const name : {"a", "b", "c"}) r.declare(name);
    const amqp::field_array cc{amqp::field_value("b"), amqp::field_value("a"), amqp::field_value(7)};
    const amqp::field_array bcc{amqp::field_value("c")};
    r.publish("a", "1", with_headers({{"CC", cc}, {"BCC", bcc}, {"kept", 1}}));
    for (const char* const name : {"a", "b", "c"}) {
        const auto got = r.get(name);
        ASSERT_TRUE(got) << name;
        EXPECT_FALSE(r.get(name)) << name;
        EXPECT_FALSE(headers_of(*got->what).find("BCC"));
        EXPECT_TRUE(headers_of(*got->what).find("CC"));
        EXPECT_TRUE(headers_of(*got->what).find("kept"));
    }
    const auto refused =
        r.host().publish(**r.host().find_exchange(""), make_message("2", with_headers({{"CC", "no array"}}), "a"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, amqp::reply_code::precondition_failed);
}

}  // namespace foz::broker
