#include "broker/front/users.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace foz::broker {
namespace {

// Made by RabbitMQ 3.10.
constexpr const char* guest_hash = "xcnO0cXA2Kayzpe3jIkd/jergdzetGJVXFflnM9CtCMOAxyw";
// Of "secret" with the salt 1 2 3 4.
constexpr const char* sha512_hash =
    "AQIDBPhTH2L5HGYB1LWOrn+YpvuQmVOXKGqgsuiJRIZTILRoEvblSJo/WAsym3IZTfuaIaK5KR2o5KwFfTv6KsxfMIE=";

TEST(password, a_hash_of_rabbitmq_is_understood) {
    EXPECT_TRUE(is_password_hash(guest_hash, hashing::sha256));
    EXPECT_TRUE(check_password("guest", guest_hash));
    EXPECT_FALSE(check_password("guesT", guest_hash));
    EXPECT_FALSE(check_password("", guest_hash));
}

TEST(password, sha512_is_another_algorithm) {
    EXPECT_TRUE(is_password_hash(sha512_hash, hashing::sha512));
    EXPECT_FALSE(is_password_hash(sha512_hash, hashing::sha256));
    EXPECT_TRUE(check_password("secret", sha512_hash, hashing::sha512));
    EXPECT_FALSE(check_password("secret", sha512_hash, hashing::sha256));
}

TEST(password, the_salt_makes_equal_passwords_look_different) {
    const std::string one = hash_password("p", 1);
    EXPECT_NE(one, hash_password("p", 2));
    EXPECT_TRUE(check_password("p", one));
}

TEST(users, a_wrong_password_and_an_unknown_name_get_nobody_in) {
    const users all({{.name = "anna", .password_hash = hash_password("a", 7)}});
    ASSERT_NE(all.authenticate("anna", "a", false), nullptr);
    EXPECT_EQ(all.authenticate("anna", "b", false), nullptr);
    EXPECT_EQ(all.authenticate("bert", "a", false), nullptr);
    EXPECT_EQ(all.authenticate("", "", false), nullptr);
}

TEST(users, without_a_password_no_password_is_right) {
    const users all({{.name = "machine"}});
    EXPECT_EQ(all.authenticate("machine", "", true), nullptr);
    EXPECT_NE(all.find("machine", false), nullptr);
}

TEST(users, one_of_this_machine_alone_does_not_get_in_from_elsewhere) {
    const users all({{.name = "guest", .password_hash = guest_hash, .loopback_only = true}});
    EXPECT_NE(all.authenticate("guest", "guest", true), nullptr);
    EXPECT_EQ(all.authenticate("guest", "guest", false), nullptr);
    EXPECT_EQ(all.find("guest", false), nullptr);
}

TEST(users, a_permission_that_is_no_expression_is_said_with_its_user) {
    try {
        const users all({{.name = "anna", .vhosts = {{"/", {.configure = "(", .write = "", .read = ""}}}}});
        FAIL() << "it was taken";
    } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find("user anna: a permission in /"), std::string::npos) << error.what();
    }
}

TEST(users, a_virtual_host_is_entered_with_permissions_for_it_alone) {
    const user_settings one{.name = "anna", .vhosts = {{"a", {}}}};
    EXPECT_TRUE(users::enter(one, "a"));
    EXPECT_FALSE(users::enter(one, "b"));
}

TEST(access, expressions_are_searched_for_anywhere_and_an_empty_one_allows_nothing) {
    access may({.configure = "", .write = "logs", .read = "^work$|^amq\\.gen"});
    EXPECT_FALSE(may.allows(permission::configure, "work"));
    EXPECT_TRUE(may.allows(permission::write, "all-logs-here"));
    EXPECT_FALSE(may.allows(permission::write, "log"));
    EXPECT_TRUE(may.allows(permission::read, "work"));
    EXPECT_FALSE(may.allows(permission::read, "workers"));
    EXPECT_TRUE(may.allows(permission::read, "amq.gen-x"));
}

TEST(access, the_default_exchange_is_amq_default) {
    access may({.configure = "", .write = "^amq\\.default$", .read = "^$"});
    EXPECT_TRUE(may.allows(permission::write, ""));
    EXPECT_FALSE(may.allows(permission::read, ""));
}

TEST(access, what_perl_knows_and_ecmascript_does_not) {
    access may({.configure = "(?i)^ABC", .write = "^(?!private)", .read = "(?<=a)b"});
    EXPECT_TRUE(may.allows(permission::configure, "abcd"));
    EXPECT_TRUE(may.allows(permission::write, "public"));
    EXPECT_FALSE(may.allows(permission::write, "private.x"));
    EXPECT_TRUE(may.allows(permission::read, "ab"));
}

TEST(access, an_expression_that_would_take_for_ever_allows_nothing) {
    access may({.configure = "^(a|a)*(b|b)*(a+)+$", .write = "", .read = ""});
    EXPECT_FALSE(may.allows(permission::configure, std::string(250, 'a') + "!"));
}

}  // namespace
}  // namespace foz::broker
