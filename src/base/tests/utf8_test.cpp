#include "base/utf8.hpp"

#include <string>

#include <gtest/gtest.h>

namespace foz {

TEST(utf8, accepts_the_bounds_of_each_length) {
    for (const char* good : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                             "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
        EXPECT_TRUE(is_utf8(good));
}

TEST(utf8, refuses_overlong_surrogate_and_stray_octets) {
    for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2", "\xe2\x82", "\xc2\x41"})
        EXPECT_FALSE(is_utf8(bad));
}

TEST(utf8, may_be_split_anywhere_and_fails_at_the_first_bad_octet) {
    const std::string text = "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80 and some plain text after it";
    for (std::size_t i = 0; i <= text.size(); ++i) {
        utf8_validator validator;
        EXPECT_TRUE(validator.feed(std::string_view(text).substr(0, i)));
        EXPECT_TRUE(validator.feed(std::string_view(text).substr(i)));
        EXPECT_TRUE(validator.complete());
    }
    utf8_validator validator;
    EXPECT_TRUE(validator.feed("\xed"));
    EXPECT_FALSE(validator.feed("\xa0"));  // a surrogate is known after its second octet
    EXPECT_FALSE(validator.feed("a"));
}

}  // namespace foz
