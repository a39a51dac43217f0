// Goal: each limit of the envelope lets its largest value through and refuses the next one by name.
#include "base/utf8.hpp"
#include "envelope/envelope.hpp"
#include "envelope/tests/padded.hpp"
#include "envelope/topic.hpp"

#include <gtest/gtest.h>

namespace foz::envelope {
namespace {

std::string field_refused(const std::string& members) {
    parser p;
    const padded data("{\"packet_action\":\"publish\"," + members + "}");
    const auto found = p.parse(data);
    return found ? "none" : found.error().field;
}

std::string quoted(std::size_t size) {
    return '"' + std::string(size, 'x') + '"';
}

// "a0","a1",…, each followed by `after`.
std::string many(std::size_t count, const std::string& after = "") {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += (i ? ",\"a" : "\"a") + std::to_string(i) + '"' + after;
    return out;
}

}  // namespace

TEST(envelope_limits, lengths_of_strings) {
    struct row {
        std::string before, after, field;
        std::size_t max;
    };
    for (const row& r : std::vector<row>{
             {"\"id\":", "", "id", id_bytes_max},
             {"\"type\":", "", "type", type_bytes_max},
             {"\"topic\":", "", "topic", topic_bytes_max},
             {"\"token\":", "", "token", token_bytes_max},
             {"\"publish_target\":", "", "publish_target", exchange_bytes_max},
             {"\"channel\":", "", "channel", channel_bytes_max},
             {"\"consume_target\":", "", "consume_target", topic_bytes_max},
             {"\"consume_target\":[", "]", "consume_target", topic_bytes_max},
             {"\"distribution\":{\"multicast\":[", "]}", "distribution.multicast", receiver_bytes_max},
             {"\"distribution\":{\"direct\":[", "]}", "distribution.direct", receiver_bytes_max},
         }) {
        EXPECT_EQ(field_refused(r.before + quoted(r.max) + r.after), "none") << r.field;
        EXPECT_EQ(field_refused(r.before + quoted(r.max + 1) + r.after), r.field);
    }
    const std::string key = std::string(channel_bytes_max + 1, 'x');
    EXPECT_EQ(field_refused("\"channel\":{\"" + key + "\":false}"), "channel." + key);
    EXPECT_EQ(field_refused("\"from\":{\"" + key + "\":\"now\"}"), "from." + key);
}

TEST(envelope_limits, numbers_of_things) {
    const auto list = [](std::size_t count) { return "[" + many(count) + "]"; };
    EXPECT_EQ(field_refused("\"consume_target\":" + list(consume_targets_max)), "none");
    EXPECT_EQ(field_refused("\"consume_target\":" + list(consume_targets_max + 1)), "consume_target");
    EXPECT_EQ(field_refused("\"distribution\":{\"direct\":" + list(receivers_max) + "}"), "none");
    EXPECT_EQ(field_refused("\"distribution\":{\"direct\":" + list(receivers_max + 1) + "}"), "distribution.direct");
    EXPECT_EQ(field_refused("\"distribution\":{\"direct\":" + list(receivers_max) + ",\"multicast\":[\"x\"]}"),
              "distribution.multicast");
    EXPECT_EQ(field_refused("\"channel\":{" + many(channels_max, ":true") + "}"), "none");
    EXPECT_EQ(field_refused("\"channel\":{" + many(channels_max + 1, ":false") + "}"), "channel");
    EXPECT_EQ(field_refused("\"from\":{" + many(channels_max, ":\"now\"") + "}"), "none");
    EXPECT_EQ(field_refused("\"from\":{" + many(channels_max + 1, ":\"now\"") + "}"), "from");
}

TEST(envelope_limits, milliseconds) {
    const auto number = [](std::uint64_t n) { return std::to_string(n); };
    EXPECT_EQ(field_refused("\"expires_ms\":" + number(expires_ms_max)), "none");
    EXPECT_EQ(field_refused("\"expires_ms\":" + number(expires_ms_max + 1)), "expires_ms");
    EXPECT_EQ(field_refused("\"timeout_ms\":" + number(timeout_ms_max)), "none");
    EXPECT_EQ(field_refused("\"timeout_ms\":" + number(timeout_ms_max + 1)), "timeout_ms");
    EXPECT_EQ(field_refused("\"from\":{\"since_ms\":" + number(since_ms_max) + "}"), "none");
    EXPECT_EQ(field_refused("\"from\":{\"since_ms\":" + number(since_ms_max + 1) + "}"), "from.since_ms");
}

TEST(envelope_limits, warnings_are_few_and_short) {
    parser p;
    const padded data("{\"packet_action\":\"publish\"," + many(50, ":1") + "}");
    const auto found = p.parse(data);
    ASSERT_TRUE(found);
    EXPECT_EQ((*found)->warnings.size(), warnings_max);

    for (std::size_t shift = 0; shift < 4; ++shift) {
        std::string name(shift, 'x');
        for (int i = 0; i < 40; ++i) name += "\xf0\x9f\x98\x80";
        const padded longer("{\"packet_action\":\"publish\",\"" + name + "\":1}");
        const auto cut = p.parse(longer);
        ASSERT_TRUE(cut);
        ASSERT_EQ((*cut)->warnings.size(), 1u);
        const std::string& warning = (*cut)->warnings[0];
        EXPECT_LE(warning.size(), warning_bytes_max);
        EXPECT_TRUE(is_utf8(warning));
        EXPECT_TRUE(name.starts_with(warning));
    }
}

}  // namespace foz::envelope
