// Goal: positions have one spelling, come back as they went, and name what is wrong; the check never changes.
#include "envelope/position.hpp"

#include <gtest/gtest.h>

namespace foz::envelope {

TEST(position, round_trip) {
    for (const position p : {position{0, 0, 0}, position{0, 42, 0xbeef}, position{7, 1, 0xffffffff},
                             position{UINT32_MAX, UINT64_MAX, 0x80000000}})
        EXPECT_EQ(parse_position(to_string(p)), p) << to_string(p);
    EXPECT_EQ(to_string({1, 42, 0xbeef}), "1.42.0000beef");
    EXPECT_EQ(to_string({UINT32_MAX, UINT64_MAX, UINT32_MAX}), "4294967295.18446744073709551615.ffffffff");
}

TEST(position, what_is_wrong_is_named) {
    struct row {
        const char* text;
        position_errc code;
    };
    using enum position_errc;
    for (const row& r : {row{"", not_three_parts},
                         {"1", not_three_parts},
                         {"1.2", not_three_parts},
                         {"..", bad_partition},
                         {".1.00000000", bad_partition},
                         {"-1.1.00000000", bad_partition},
                         {"01.1.00000000", bad_partition},
                         {" 1.1.00000000", bad_partition},
                         {"4294967296.1.00000000", bad_partition},
                         {"1..00000000", bad_offset},
                         {"1.x.00000000", bad_offset},
                         {"1.00.00000000", bad_offset},
                         {"1.+1.00000000", bad_offset},
                         {"1.18446744073709551616.00000000", bad_offset},
                         {"1.1.", bad_check},
                         {"1.1.0000000", bad_check},
                         {"1.1.000000000", bad_check},
                         {"1.1.0000000A", bad_check},
                         {"1.1.0x000000", bad_check},
                         {"1.1.00000000 ", bad_check},
                         {"1.1.00000000.1", bad_check}}) {
        const auto found = parse_position(r.text);
        ASSERT_FALSE(found) << r.text;
        EXPECT_EQ(found.error(), r.code) << r.text;
        EXPECT_FALSE(to_text(found.error()).empty());
    }
}

TEST(position, the_check_is_the_same_in_every_release) {
    EXPECT_EQ(check_of("", ""), 0xe10017f3u);
    EXPECT_EQ(check_of("client/1", "{}"), 0xf2bac542u);
    EXPECT_EQ(check_of("client/1", std::string(1000, 'x')), 0x1ae155f4u);
}

TEST(position, the_check_tells_entries_apart) {
    EXPECT_NE(check_of("a", "bc"), check_of("ab", "c"));
    EXPECT_NE(check_of("a", "{}"), check_of("b", "{}"));
    EXPECT_NE(check_of("a", "{}"), check_of("a", "[]"));
    EXPECT_NE(check_of("", "a"), check_of("a", ""));
}

}  // namespace foz::envelope
