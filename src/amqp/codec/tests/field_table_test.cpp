#include "amqp/codec/field_table.hpp"

#include "amqp/codec/tests/octets.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

std::expected<table, wire_error> decoded(const std::string& octets) {
    reader in(octets);
    table out;
    read_table(in, out);
    if (const auto done = in.finish(); !done) return std::unexpected(done.error());
    return out;
}

std::expected<std::string, wire_error> encoded(const table& value) {
    std::string out;
    writer w(out);
    write_table(w, value);
    if (const auto done = w.finish(); !done) return std::unexpected(done.error());
    return out;
}

// `levels` tables within each other, the innermost empty.
table nested_tables(unsigned levels) {
    table out;
    for (unsigned i = 1; i < levels; ++i) {
        table outer;
        outer.append("", std::move(out));
        out = std::move(outer);
    }
    return out;
}

std::string octets_of_nested(unsigned levels, char type) {
    std::string body;
    for (unsigned i = 1; i < levels; ++i) {
        std::string outer = type == 'F' || i + 1 == levels ? std::string(1, '\0') : std::string();
        char size[4];
        store_big_endian(size, static_cast<std::uint32_t>(body.size()));
        body = outer.append(1, type).append(size, 4).append(body);
    }
    char size[4];
    store_big_endian(size, static_cast<std::uint32_t>(body.size()));
    return std::string(size, 4).append(body);
}

}  // namespace

TEST(field_table, finds_sets_and_erases_by_name) {
    table t{{"a", 1}, {"b", "two"}};
    EXPECT_EQ(as_int64(t.find("a")), 1);
    EXPECT_EQ(t.find("c"), nullptr);
    t.set("a", "one");
    t.set("c", true);
    EXPECT_EQ(t, (table{{"a", "one"}, {"b", "two"}, {"c", true}}));
    EXPECT_TRUE(t.erase("a"));
    EXPECT_FALSE(t.erase("a"));
    EXPECT_EQ(t.size(), 2u);
}

TEST(field_table, numbers_of_any_width_read_as_int64) {
    EXPECT_EQ(as_int64(field_value(std::int8_t{-1})), -1);
    EXPECT_EQ(as_int64(field_value(std::uint8_t{255})), 255);
    EXPECT_EQ(as_int64(field_value(std::int16_t{-1})), -1);
    EXPECT_EQ(as_int64(field_value(std::uint16_t{65535})), 65535);
    EXPECT_EQ(as_int64(field_value(-1)), -1);
    EXPECT_EQ(as_int64(field_value(4294967295u)), 4294967295);
    EXPECT_EQ(as_int64(field_value(-1L)), -1);
    EXPECT_EQ(as_int64(field_value(std::numeric_limits<long long>::min())), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(as_int64(field_value(true)), std::nullopt);
    EXPECT_EQ(as_int64(field_value("1")), std::nullopt);
    EXPECT_EQ(as_int64(nullptr), std::nullopt);
}

TEST(field_table, other_getters_take_what_is_meant_and_nothing_else) {
    EXPECT_EQ(as_string(field_value("text")), "text");
    EXPECT_EQ(as_string(field_value(byte_array{"octets"})), "octets");
    EXPECT_EQ(as_string(field_value(1)), std::nullopt);
    EXPECT_EQ(as_bool(field_value(true)), true);
    EXPECT_EQ(as_bool(field_value(1)), std::nullopt);
    EXPECT_EQ(as_double(field_value(1.5f)), 1.5);
    EXPECT_EQ(as_double(field_value(3)), 3.0);
    EXPECT_EQ(as_timestamp(field_value(timestamp{7})), 7u);
    EXPECT_EQ(as_timestamp(field_value(7)), 7u);
    EXPECT_EQ(as_timestamp(field_value(-7)), std::nullopt);
    const field_value inner(table{{"k", 1}});
    ASSERT_NE(as_table(inner), nullptr);
    EXPECT_EQ(as_int64(as_table(inner)->find("k")), 1);
    EXPECT_EQ(as_array(inner), nullptr);
}

TEST(field_table, names_that_occur_twice_are_kept_and_the_first_is_found) {
    const auto t = decoded(octets("00000008 01'k' 74 00 01'k' 74 01"));
    ASSERT_TRUE(t);
    EXPECT_EQ(t->size(), 2u);
    EXPECT_EQ(as_bool(t->find("k")), false);
}

TEST(field_table, reads_the_specification_letter_for_a_signed_64_bit_integer) {
    const auto t = decoded(octets("0000000b 01'k' 4c fffffffffffffffe"));
    ASSERT_TRUE(t);
    EXPECT_EQ(as_int64(t->find("k")), -2);
}

TEST(field_table, an_unknown_type_is_an_error) {
    EXPECT_EQ(decoded(octets("00000004 01'k' 7a 00")).error(), wire_error::unknown_field_type);
}

TEST(field_table, lengths_never_reach_outside_the_enclosing_value) {
    // The string claims more than its table; the inner table more than the outer; the array ends inside a number.
    EXPECT_EQ(decoded(octets("00000008 01'k' 53 00000002 'a'") + "b").error(), wire_error::truncated);
    EXPECT_EQ(decoded(octets("00000007 01'k' 46 00000001") + "b").error(), wire_error::truncated);
    EXPECT_EQ(decoded(octets("00000009 01'k' 41 00000002 49 00")).error(), wire_error::truncated);
    EXPECT_EQ(decoded(octets("ffffffff 01'k' 74 00")).error(), wire_error::truncated);
}

TEST(field_table, nesting_is_limited_both_ways) {
    const auto deepest = encoded(nested_tables(table_depth_max));
    ASSERT_TRUE(deepest);
    EXPECT_EQ(*deepest, octets_of_nested(table_depth_max, 'F'));
    EXPECT_EQ(decoded(*deepest), nested_tables(table_depth_max));
    EXPECT_EQ(encoded(nested_tables(table_depth_max + 1)).error(), wire_error::too_deep);
    EXPECT_EQ(decoded(octets_of_nested(table_depth_max + 1, 'F')).error(), wire_error::too_deep);
    EXPECT_TRUE(decoded(octets_of_nested(table_depth_max, 'A')));
    EXPECT_EQ(decoded(octets_of_nested(table_depth_max + 1, 'A')).error(), wire_error::too_deep);
    EXPECT_EQ(decoded(octets_of_nested(20000, 'F')).error(), wire_error::too_deep);
}

TEST(field_table, a_name_over_255_octets_is_refused) {
    EXPECT_EQ(encoded({{std::string(256, 'k'), 1}}).error(), wire_error::string_too_long);
}

TEST(field_table, a_table_cut_anywhere_is_an_error) {
    const auto whole =
        encoded({{"a", 1}, {"b", "text"}, {"c", table{{"d", timestamp{1}}}}, {"e", field_array{1.5, true, {}}}});
    ASSERT_TRUE(whole);
    for (std::size_t size = 0; size < whole->size(); ++size) {
        EXPECT_FALSE(decoded(whole->substr(0, size))) << size;
    }
}

}  // namespace foz::amqp
