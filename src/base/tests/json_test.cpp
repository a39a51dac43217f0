#include "base/json.hpp"

#include <gtest/gtest.h>

namespace foz {

TEST(json, strings_are_escaped) {
    EXPECT_EQ(json_string("plain"), "\"plain\"");
    EXPECT_EQ(json_string("a\"b\\c\n\r\t\x01\x1f"), "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f\"");
    EXPECT_EQ(json_string("\xe2\x80\xa8-\xe2\x80\xa9-\xe2\x82\xac"), "\"\\u2028-\\u2029-\xe2\x82\xac\"");
    EXPECT_TRUE(is_json(json_string(std::string("\0x", 2))));
}

TEST(json, exactly_one_value_is_json) {
    for (const char* good : {"1", " null ", "\"x\"", "[]", "{\"a\":[1,2,{\"b\":false}]}", "-1.5e3"})
        EXPECT_TRUE(is_json(good)) << good;
    for (const char* bad : {"", " ", "1 2", "{\"a\"}", "[1,]", "nul", "'a'", "\"\xff\"", "{\"a\":01}", "\"\n\"", "{}}"})
        EXPECT_FALSE(is_json(bad)) << bad;
    EXPECT_FALSE(is_json(std::string(2000, '[') + std::string(2000, ']')));
    EXPECT_FALSE(is_json({})) << "nothing, and nowhere";
}

}  // namespace foz
