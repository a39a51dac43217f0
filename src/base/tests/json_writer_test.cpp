#include "base/json_writer.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace foz {

TEST(json_writer, puts_commas_between_members_and_values) {
    json_writer to;
    to.open('{').member("a", 1).key("b").open('[').value("x").value("y").open('[').close(']').close(']');
    to.key("c").open('{').close('}').member("d", "z").close('}');
    EXPECT_EQ(to.text(), R"({"a":1,"b":["x","y",[]],"c":{},"d":"z"})");
}

TEST(json_writer, writes_each_kind_of_value) {
    json_writer to;
    to.open('[').value(true).value(false).value(std::int64_t{-7}).value(std::numeric_limits<std::uint64_t>::max());
    to.value(std::string("s")).value(std::string_view("v")).raw(R"({"a":null})");
    EXPECT_EQ(to.close(']').text(), R"([true,false,-7,18446744073709551615,"s","v",{"a":null}])");
}

TEST(json_writer, writes_the_shortest_number_and_null_for_what_is_none) {
    json_writer to;
    to.open('[').value(0.1).value(3.0).value(std::numeric_limits<double>::infinity());
    to.value(std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(to.close(']').text(), "[0.1,3,null,null]");
}

TEST(json_writer, escapes_keys_and_text) {
    json_writer to;
    to.open('{').member("a\"b", "c\\d\n").close('}');
    EXPECT_EQ(to.text(), R"({"a\"b":"c\\d\n"})");
    EXPECT_TRUE(is_json(to.text()));
}

TEST(json_writer, gives_its_text_away) {
    json_writer to;
    to.open('[').close(']');
    const std::string text = std::move(to).text();
    EXPECT_EQ(text, "[]");
}

}  // namespace foz
