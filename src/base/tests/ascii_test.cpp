#include "base/ascii.hpp"

#include <string>

#include <gtest/gtest.h>

namespace foz {

TEST(ascii, lowers_the_26_letters_and_no_other_octet) {
    for (int i = 0; i < 256; ++i) {
        const char c = static_cast<char>(i);
        EXPECT_EQ(ascii_lower(c), i >= 'A' && i <= 'Z' ? static_cast<char>(i + 32) : c) << i;
    }
    EXPECT_EQ(ascii_lower("Sec-WebSocket-Key: A1[`{@"), "sec-websocket-key: a1[`{@");
    EXPECT_EQ(ascii_lower("\xc3\x84"), "\xc3\x84");  // "Ä" in UTF-8
    EXPECT_EQ(ascii_lower(""), "");
}

TEST(ascii, compares_without_regard_to_case) {
    EXPECT_TRUE(ascii_iequals("", ""));
    EXPECT_TRUE(ascii_iequals("Upgrade", "uPGRADE"));
    EXPECT_FALSE(ascii_iequals("Upgrade", "Upgrade "));
    EXPECT_FALSE(ascii_iequals("Upgrade", "Upgrad"));
    // They differ by the bit that distinguishes a letter's two cases.
    EXPECT_FALSE(ascii_iequals("@", "`"));
    EXPECT_FALSE(ascii_iequals("[", "{"));
    EXPECT_FALSE(ascii_iequals("\xc3\x84", "\xc3\xa4"));
    EXPECT_TRUE(ascii_iequals(std::string("a\0B", 3), std::string("A\0b", 3)));
}

TEST(ascii, finds_a_prefix_without_regard_to_case) {
    EXPECT_TRUE(ascii_istarts_with("AMQPS://host", "amqps://"));
    EXPECT_TRUE(ascii_istarts_with("amqp", "AMQP"));
    EXPECT_TRUE(ascii_istarts_with("amqp", ""));
    EXPECT_FALSE(ascii_istarts_with("amqp", "amqps"));
    EXPECT_FALSE(ascii_istarts_with("xamqp", "amqp"));
}

}  // namespace foz
