#include "contract/revocation.hpp"

#include <gtest/gtest.h>

namespace foz::contract {
namespace {

constexpr wall_time after_epoch(int seconds) {
    return wall_time(std::chrono::seconds(seconds));
}

TEST(revocation, what_is_written_is_read) {
    const revocation all[] = {
        {.client = "ali\"ce", .until = after_epoch(2'000'000'000)},
        {.issuer = "https://a", .token_id = "7", .until = after_epoch(1)},
        {.session = "s", .until = after_epoch(1)},
        {.issued_before = after_epoch(5), .until = after_epoch(9)},
        {.client = "bob", .issued_before = after_epoch(5), .until = after_epoch(9)},
    };
    for (const revocation& one : all) EXPECT_EQ(parse_revocation(to_json(one)), one) << to_json(one);
}

TEST(revocation, whoever_adds_a_member_is_understood) {
    const auto read = parse_revocation(R"({"until_ms":1000,"client":"a","why":["x"]})");
    EXPECT_EQ(read, (revocation{.client = "a", .until = after_epoch(1)}));
}

TEST(revocation, times_beyond_the_clocks_are_far_away) {
    for (const char* ms : {"253402300800000", "9223372036854775807"}) {
        const std::string until = std::string(R"({"client":"a","until_ms":)") + ms + "}";
        EXPECT_GT(parse_revocation(until)->until, after_epoch(2'000'000'000)) << ms;
        const std::string before = std::string(R"({"client":"a","until_ms":1,"issued_before_ms":)") + ms + "}";
        EXPECT_GT(parse_revocation(before)->issued_before, after_epoch(2'000'000'000)) << ms;
    }
    EXPECT_LT(parse_revocation(R"({"client":"a","until_ms":-9223372036854775808})")->until, after_epoch(0));
}

TEST(revocation, what_says_nothing_or_something_else_is_none) {
    for (const char* text :
         {"", "null", "[]", "{", R"({"client":"a"})", R"({"until_ms":1})", R"({"until_ms":1,"client":""})",
          R"({"until_ms":1,"client":5})", R"({"until_ms":"1","client":"a"})", R"({"until_ms":1,"issuer":"a"})",
          R"({"until_ms":1,"client":"a","issued_before_ms":"x"})", R"({"until_ms":1.5,"client":"a"})"})
        EXPECT_EQ(parse_revocation(text), std::nullopt) << text;
}

TEST(revocation, it_is_published_to_the_stream_alone) {
    const auto made = make_publication({.client = "a", .until = after_epoch(9)}, "id-1", after_epoch(4), "foz");
    EXPECT_EQ(made.exchange, "");
    EXPECT_EQ(made.routing_key, "REVOKED");
    EXPECT_EQ(made.properties.message_id, "id-1");
    EXPECT_EQ(made.properties.timestamp, 4u);
    EXPECT_EQ(made.properties.delivery_mode, 2);
    EXPECT_EQ(made.properties.user_id, "foz");
    EXPECT_EQ(made.body, R"({"until_ms":9000,"client":"a"})");
}

TEST(revocation, it_comes_from_the_one_user_of_the_brokers) {
    const amqp::url foz{.user = "foz"}, guest{}, certificate{.user = "foz", .auth_mechanism = "EXTERNAL"};
    EXPECT_EQ(revoking_user({foz}), "foz");
    EXPECT_EQ(revoking_user({foz, foz}), "foz");
    EXPECT_EQ(revoking_user({foz, guest}), "");
    EXPECT_EQ(revoking_user({foz, certificate}), "");
    EXPECT_EQ(revoking_user({}), "");
    EXPECT_EQ(make_publication({.client = "a"}, "id-1", after_epoch(4), "").properties.user_id, std::nullopt);
}

}  // namespace
}  // namespace foz::contract
