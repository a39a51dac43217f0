#include "ops/admin/exposition.hpp"
#include "ops/log.hpp"

#include <gtest/gtest.h>

namespace foz::ops {
namespace {

TEST(exposition, writes_families_with_help_type_and_samples) {
    exposition to;
    to.family("foz_x_total", "counter", "What x is");
    to.sample({}, 5u);
    to.sample({{"a", "1"}, {"b", "two"}}, std::uint64_t(18446744073709551615u));
    to.family("foz_y", "gauge", "y");
    to.sample({}, 0.25);
    EXPECT_EQ(to.text(),
              "# HELP foz_x_total What x is\n"
              "# TYPE foz_x_total counter\n"
              "foz_x_total 5\n"
              "foz_x_total{a=\"1\",b=\"two\"} 18446744073709551615\n"
              "# HELP foz_y y\n"
              "# TYPE foz_y gauge\n"
              "foz_y 0.25\n");
}

TEST(exposition, escapes_labels_and_help) {
    exposition to;
    to.family("foz_x", "gauge", "a\\b\n\"c\"");
    to.sample({{"l", "a\\b\n\"c\""}}, 1);
    EXPECT_EQ(to.text(),
              "# HELP foz_x a\\\\b\\n\"c\"\n"
              "# TYPE foz_x gauge\n"
              "foz_x{l=\"a\\\\b\\n\\\"c\\\"\"} 1\n");
}

TEST(log, json_lines_are_escaped_and_valid_utf8) {
    EXPECT_EQ(json_line("now", "info", "a \"b\"\n\xc3\xa4"),
              "{\"time\":\"now\",\"level\":\"info\",\"msg\":\"a \\\"b\\\"\\n\xc3\xa4\"}");
    EXPECT_EQ(json_line("now", "info", "\xff!"), "{\"time\":\"now\",\"level\":\"info\",\"msg\":\"?!\"}");
}

TEST(log, control_characters_are_escaped_and_other_text_is_kept) {
    EXPECT_EQ(escape_controls("id\nforged\r\t\x1b[2J\x7f"), "id\\nforged\\r\\t\\x1b[2J\\x7f");
    EXPECT_EQ(escape_controls("\xc2\x9b"
                              "2J"),
              "\\x9b2J");
    EXPECT_EQ(escape_controls("\xc3\xa4 \xc2\xa0 \xc2"), "\xc3\xa4 \xc2\xa0 \xc2");
}

}  // namespace
}  // namespace foz::ops
