#include "cli/top/text.hpp"

#include <cmath>
#include <string>

#include <gtest/gtest.h>

namespace foz::cli::top {
namespace {

// Numbers keep their columns and three figures, also where rounding carries.
TEST(top_text, numbers_for_people) {
    for (const auto& [number, text] : {std::pair{0.0, "0"},
                                       {0.4, "0"},
                                       {999.4, "999"},
                                       {999.6, "1,000"},
                                       {9'999.4, "9,999"},
                                       {9'999.6, "10.0k"},
                                       {12'345.0, "12.3k"},
                                       {99'960.0, "100k"},
                                       {999'400.0, "999k"},
                                       {999'600.0, "1.00M"},
                                       {1.2345e9, "1.23G"},
                                       {1e30, "huge"},
                                       {-1.0, "-"},
                                       {std::nan(""), "-"}})
        EXPECT_EQ(human(number), text);
    for (double number = 1; number < 1e20; number *= 1.37) EXPECT_LE(human(number).size(), 5u) << number;
    EXPECT_EQ(human_rate(0), "0");
    EXPECT_EQ(human_rate(0.2), "<1");
    EXPECT_EQ(human_rate(0.6), "1");
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(1'230), "1.23 kB");
    EXPECT_EQ(human_bytes(999'600), "1.00 MB");
    for (double number = 1; number < 1e20; number *= 1.37) EXPECT_LE(human_bytes(number).size(), 7u) << number;
    EXPECT_EQ(human_time(59), "59s");
    EXPECT_EQ(human_time(184), "3m 04s");
    EXPECT_EQ(human_time(7'500), "2h 05m");
    EXPECT_EQ(human_time(90'000.9), "1d 01h");
}

// Whatever octets a name has, nothing of it moves the cursor, changes direction or breaks UTF-8.
TEST(top_text, hostile_octets_only_print) {
    EXPECT_EQ(printable("a\x1b[2Jb"), "a␛[2Jb");
    EXPECT_EQ(printable(std::string("\0\n\x7f", 3)), "␀␊␡");
    EXPECT_EQ(printable("\xC2\x9B"
                        "31m"),
              "\uFFFD"
              "31m");                                            // C1's CSI
    EXPECT_EQ(printable("\xFF\xC0\x80"), "\uFFFD\uFFFD\uFFFD");  // no UTF-8, overlong
    EXPECT_EQ(printable("\xE2\x80\xAE"
                        "abc"),
              "\uFFFD"
              "abc");  // right to left override
    EXPECT_EQ(printable("\xED\xA0\x80").find("\xED"), std::string::npos);
    EXPECT_EQ(printable("Grüße 名前"), "Grüße 名前");
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    for (const char c : printable(all + all)) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7F);
}

// Columns are counted as a terminal does; what is too long is cut at a character.
TEST(top_text, fits_exactly) {
    EXPECT_EQ(columns("Grüße"), 5u);
    EXPECT_EQ(columns("名前"), 4u);
    EXPECT_EQ(fit_left("abc", 5), "abc  ");
    EXPECT_EQ(fit_right("abc", 5), "  abc");
    EXPECT_EQ(fit_left("abcdef", 4), "abc…");
    EXPECT_EQ(fit_left("名前名前", 4), "名… ");
    EXPECT_EQ(fit_left("abc", 0), "");
    for (std::size_t width = 0; width < 12; ++width) EXPECT_EQ(columns(fit_left("a名前bc名前d", width)), width);
}

}  // namespace
}  // namespace foz::cli::top
