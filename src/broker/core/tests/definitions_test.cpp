// Records of queues, exchanges and bindings: what is written is what is read, and broken ones are nothing.
#include "broker/core/definitions.hpp"

#include <gtest/gtest.h>

namespace foz::broker {
namespace {

queue_record some_queue(std::string name = "q") {
    return {.vhost = "/",
            .name = std::move(name),
            .number = 4711,
            .flags = {.durable = true, .auto_delete = true},
            .arguments = {{"x-max-length", 5}}};
}

exchange_record some_exchange() {
    return {.vhost = "v",
            .identity = {.name = "x",
                         .kind = exchange_kind::headers,
                         .durable = true,
                         .internal = true,
                         .arguments = {{"alternate-exchange", "y"}}}};
}

binding_record some_binding(std::string key = "a.#") {
    return {.vhost = "/",
            .exchange = "x",
            .to_exchange = true,
            .destination = "d",
            .routing_key = std::move(key),
            .arguments = {{"x-match", "any"}}};
}

template <class Record>
Record again(const Record& record) {
    const auto [key, value] = encode(record);
    const auto read = decode_definition(key, value);
    return read && std::holds_alternative<Record>(*read) ? std::get<Record>(*read) : Record{};
}

void expect_same(const binding_record& a, const binding_record& b) {
    EXPECT_EQ(a.vhost, b.vhost);
    EXPECT_EQ(a.exchange, b.exchange);
    EXPECT_EQ(a.to_exchange, b.to_exchange);
    EXPECT_EQ(a.destination, b.destination);
    EXPECT_EQ(a.routing_key, b.routing_key);
    EXPECT_EQ(a.arguments, b.arguments);
}

}  // namespace

TEST(definitions, what_is_written_is_read) {
    const queue_record q = again(some_queue());
    EXPECT_EQ(q.vhost, "/");
    EXPECT_EQ(q.name, "q");
    EXPECT_EQ(q.number, 4711u);
    EXPECT_EQ(q.flags, some_queue().flags);
    EXPECT_EQ(q.arguments, some_queue().arguments);
    const exchange_record x = again(some_exchange());
    EXPECT_EQ(x.vhost, "v");
    EXPECT_EQ(x.identity.name, "x");
    EXPECT_EQ(x.identity.kind, exchange_kind::headers);
    EXPECT_TRUE(x.identity.durable);
    EXPECT_TRUE(x.identity.internal);
    EXPECT_FALSE(x.identity.auto_delete);
    EXPECT_EQ(x.identity.arguments, some_exchange().identity.arguments);
    expect_same(again(some_binding()), some_binding());
}

TEST(definitions, keys_stay_short_whatever_the_names_are) {
    constexpr std::size_t key_max = 511;
    const std::string longest(255, 'n');
    binding_record large = some_binding(longest);
    large.vhost = large.exchange = large.destination = longest;
    large.arguments = {{"a", std::string(100'000, 'v')}};
    EXPECT_LE(encode(large).key.size(), key_max);
    expect_same(again(large), large);
    queue_record q = some_queue(longest);
    q.vhost = longest;
    EXPECT_LE(encode(q).key.size(), key_max);
    EXPECT_EQ(again(q).name, longest);
    EXPECT_EQ(again(q).arguments, q.arguments);
    // Bindings that differ only far behind have keys of their own.
    binding_record other = large;
    other.arguments = {{"a", std::string(100'000, 'v') + "w"}};
    EXPECT_NE(encode(large).key, encode(other).key);
    // To remove a queue's record its key is enough: it does not depend on the arguments.
    q.arguments = {};
    EXPECT_EQ(encode(q).key, encode([&] {
                                 queue_record same = some_queue(longest);
                                 same.vhost = longest;
                                 return same;
                             }())
                                 .key);
}

TEST(definitions, a_record_that_is_cut_or_longer_is_nothing) {
    const std::string longest(255, 'n');
    for (const definition& whole :
         {encode(some_queue()), encode(some_exchange()), encode(some_binding()),
          encode(some_binding(longest + longest)), encode(queue_record{longest, longest, 1, {}, {}})}) {
        for (std::size_t size = 0; size < whole.value.size(); ++size)
            EXPECT_FALSE(decode_definition(whole.key, std::string_view(whole.value).substr(0, size))) << size;
        EXPECT_FALSE(decode_definition(whole.key, whole.value + "x"));
    }
    const definition plain = encode(some_binding());
    for (std::size_t size = 0; size < plain.key.size(); ++size)
        EXPECT_FALSE(decode_definition(std::string_view(plain.key).substr(0, size), plain.value)) << size;
    EXPECT_FALSE(decode_definition("?", ""));
    EXPECT_FALSE(decode_definition("", ""));
    EXPECT_FALSE(decode_definition("n", "1024"));
}

TEST(definitions, an_exchange_of_no_known_kind_is_nothing) {
    definition made = encode(some_exchange());
    made.value[0] = '\x7f';
    EXPECT_FALSE(decode_definition(made.key, made.value));
}

}  // namespace foz::broker
