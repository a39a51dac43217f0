// A message's octets: made, kept, read again; broken ones are refused.
#include "broker/core/tests/rig.hpp"

#include <gtest/gtest.h>

namespace foz::broker {

TEST(message, parts_are_found_again_in_the_octets) {
    amqp::basic_properties properties = with_headers({{"h", 1}});
    properties.delivery_mode = 2;
    properties.priority = 9;
    properties.expiration = "1500";
    const message_ref made = make_message("body", properties, "key", "exchange");
    const auto read = message::from_octets(made->octets());
    ASSERT_TRUE(read);
    for (const message_ref& one : {made, *read}) {
        EXPECT_EQ(one->exchange(), "exchange");
        EXPECT_EQ(one->routing_key(), "key");
        EXPECT_EQ(one->body(), "body");
        EXPECT_TRUE(one->persistent());
        EXPECT_EQ(one->priority(), 9);
        EXPECT_EQ(one->expiration(), std::chrono::milliseconds(1500));
        EXPECT_TRUE(amqp::has_key(one->headers(), "h"));
        EXPECT_EQ(amqp::decode_properties(one->properties()), properties);
    }
}

TEST(message, octets_that_are_cut_are_nothing_or_have_less_of_a_body) {
    const std::string octets(make_message("body", with_headers({{"h", 1}}), "key", "exchange")->octets());
    for (std::size_t size = 0; size < octets.size() - 4; ++size)
        EXPECT_FALSE(message::from_octets(std::string_view(octets).substr(0, size))) << size;
}

TEST(message, names_that_amqp_can_t_carry_are_refused) {
    const std::string longest(255, 'k');
    const std::string none("\0\0", 2);
    EXPECT_TRUE(message::make({.exchange = longest, .routing_key = longest, .properties = none, .body = {}}));
    EXPECT_FALSE(message::make({.exchange = longest + "k", .routing_key = {}, .properties = none, .body = {}}));
    EXPECT_FALSE(message::make({.exchange = {}, .routing_key = longest + "k", .properties = none, .body = {}}));
    EXPECT_FALSE(message::make({.exchange = {}, .routing_key = {}, .properties = "?", .body = {}}));
}

TEST(message, an_expiration_is_digits_alone) {
    EXPECT_EQ(parse_expiration("0"), std::chrono::milliseconds(0));
    EXPECT_EQ(parse_expiration("4294967295"), std::chrono::milliseconds(4294967295));
    EXPECT_GT(parse_expiration("99999999999999999999"), std::chrono::hours(24 * 365)) << "as long as can be";
    for (const char* const bad : {"", "-1", " 1", "1 ", "1.5", "1e3", "+1", "0x1"})
        EXPECT_FALSE(parse_expiration(bad)) << bad;
}

}  // namespace foz::broker
