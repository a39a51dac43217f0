// Who may come in, and what they may do.
#include "broker/front/users.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace foz::broker {

// The example of RabbitMQ's documentation of password hashes: "test12" with the salt 90 8D C6 0A.
TEST(users, a_hash_is_rabbitmq_s) {
    constexpr std::string_view documented = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
    EXPECT_EQ(hash_password("test12", 0x0ac68d90), documented);
    EXPECT_TRUE(check_password("test12", documented));
    for (const char* const wrong : {"", "test1", "test123", "Test12"})
        EXPECT_FALSE(check_password(wrong, documented)) << wrong;
}

TEST(users, what_is_no_hash_lets_nobody_in) {
    const std::string whole = hash_password("secret", 7);
    for (const std::string& broken :
         {std::string(), std::string("secret"), std::string("===="), whole.substr(1), whole.substr(0, 40),
          whole + "AAAA", std::string("AAAAAA=="), "!" + whole.substr(1), std::string("\0\0\0\0", 4)}) {
        EXPECT_FALSE(check_password("secret", broken)) << broken;
        EXPECT_FALSE(check_password("", broken)) << broken;
    }
    EXPECT_TRUE(check_password("", hash_password("", 7)));
    EXPECT_NE(hash_password("secret", 7), hash_password("secret", 8));
}

TEST(users, a_password_may_hold_any_octet) {
    const std::string odd("\0\xff secret \0", 11);
    EXPECT_TRUE(check_password(odd, hash_password(odd, 1)));
    EXPECT_FALSE(check_password(odd.substr(0, 10), hash_password(odd, 1)));
}

TEST(users, authentication_looks_at_name_password_and_where_from) {
    const users known({{.name = "a", .password_hash = hash_password("pa", 1), .vhosts = {{"*", {}}}},
                       {.name = "local", .password_hash = hash_password("pl", 2), .loopback_only = true}});
    EXPECT_TRUE(known.authenticate("a", "pa", false));
    EXPECT_FALSE(known.authenticate("a", "pl", true));
    EXPECT_FALSE(known.authenticate("", "", true));
    EXPECT_FALSE(known.authenticate("A", "pa", true));
    EXPECT_TRUE(known.authenticate("local", "pl", true));
    EXPECT_FALSE(known.authenticate("local", "pl", false));
}

TEST(users, rules_of_a_virtual_host_come_before_those_of_all) {
    const user_settings who{.name = "u",
                            .password_hash = "",
                            .vhosts = {{"*", {.configure = "^$", .write = ".*", .read = ".*"}},
                                       {"v", {.configure = "^v-", .write = "", .read = "a|b"}}}};
    auto in_v = users::enter(who, "v");
    auto elsewhere = users::enter(who, "w");
    ASSERT_TRUE(in_v && elsewhere);
    EXPECT_TRUE(in_v->allows(permission::configure, "v-1"));
    EXPECT_FALSE(in_v->allows(permission::configure, "not-v-1"));
    EXPECT_TRUE(in_v->allows(permission::read, "xax")) << "somewhere in the name is enough, as in RabbitMQ";
    EXPECT_FALSE(in_v->allows(permission::read, "c"));
    EXPECT_FALSE(elsewhere->allows(permission::configure, "x"));
    EXPECT_TRUE(elsewhere->allows(permission::write, "x"));
    EXPECT_FALSE(users::enter({.name = "n", .password_hash = ""}, "v"));
    EXPECT_FALSE(users::enter({.name = "n", .password_hash = "", .vhosts = {{"v", {}}}}, "w"));
}

TEST(users, the_default_exchange_has_a_name_for_rules) {
    auto rules = users::enter({.name = "u", .password_hash = "", .vhosts = {{"*", {.write = "^amq\\.default$"}}}}, "/");
    ASSERT_TRUE(rules);
    EXPECT_TRUE(rules->allows(permission::write, ""));
    EXPECT_FALSE(rules->allows(permission::write, "amq.direct"));
}

TEST(users, answers_stay_right_when_more_names_come_than_are_remembered) {
    auto rules = users::enter({.name = "u", .password_hash = "", .vhosts = {{"*", {.read = "7$"}}}}, "/");
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 2'500; ++i) ASSERT_EQ(rules->allows(permission::read, std::to_string(i)), i % 10 == 7) << i;
}

TEST(users, a_rule_that_is_no_expression_is_told_at_the_start) {
    EXPECT_THROW(users({{.name = "u", .password_hash = "", .vhosts = {{"/", {.write = "("}}}}}), std::runtime_error);
}

}  // namespace foz::broker
