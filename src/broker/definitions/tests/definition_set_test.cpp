#include "broker/definitions/definition_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using testing::ElementsAre;

definition_set example() {
    return {.vhosts = {"/", "a"},
            .users = {{.name = "anna"}, {.name = "guest"}},
            .permissions = {{.user = "anna", .vhost = "a"}, {.user = "guest", .vhost = "/"}},
            .policies = std::vector<policy>{{.vhost = "/", .name = "p", .pattern = "", .definition = {}}}};
}

TEST(definition_set, who_is_not_in_the_later_one_may_nothing_any_more) {
    definition_set all = example();
    lay_over(all, {.vhosts = {"b"}, .users = {{.name = "bert"}}, .permissions = {{.user = "bert", .vhost = "b"}}});
    EXPECT_THAT(all.vhosts, ElementsAre("/", "a", "b"));
    EXPECT_THAT(all.users, ElementsAre(user_definition{.name = "bert"}));
    EXPECT_THAT(all.permissions, ElementsAre(permission_definition{.user = "bert", .vhost = "b"}));
    EXPECT_EQ(all.policies->size(), 1u);
}

TEST(definition_set, a_later_one_without_users_or_policies_leaves_them) {
    definition_set all = example();
    lay_over(all, {.vhosts = {"a"}});
    EXPECT_EQ(all.users.size(), 2u);
    EXPECT_EQ(all.permissions.size(), 2u);
    EXPECT_EQ(all.policies->size(), 1u);
    lay_over(all, {.policies = std::vector<policy>()});
    EXPECT_TRUE(all.policies->empty());
}

TEST(definition_set, two_of_one_start_add_up) {
    definition_set all = example();
    append(all, {.policies = std::vector<policy>{{.vhost = "/", .name = "q", .pattern = "", .definition = {}}}});
    EXPECT_EQ(all.policies->size(), 2u);
}

TEST(definition_set, what_refers_to_nothing_is_found) {
    const definition_set all = example();
    EXPECT_TRUE(check(all, all));
    const auto error = [&](const definition_set& what) {
        const auto checked = check(what, all);
        return checked ? "none" : checked.error();
    };
    EXPECT_EQ(error({.vhosts = {"b", "*"}}), "vhosts[1].name: '*' can't be the name of a virtual host");
    EXPECT_EQ(error({.permissions = {{.user = "carl", .vhost = "/"}}}), "permissions[0].user: there is no user 'carl'");
    EXPECT_EQ(error({.permissions = {{.user = "anna", .vhost = "x"}}}),
              "permissions[0].vhost: there is no virtual host 'x'");
    EXPECT_EQ(error({.queues = {{"x", {.name = "q", .flags = {}, .arguments = {}}}}}),
              "queues[0].vhost: there is no virtual host 'x'");
    EXPECT_EQ(error({.policies = std::vector<policy>{{.vhost = "/", .name = "p", .pattern = "", .definition = {}},
                                                     {.vhost = "x", .name = "p", .pattern = "", .definition = {}}}}),
              "policies[1].vhost: there is no virtual host 'x'");
    EXPECT_NE(error({.permissions = {{.user = "anna", .vhost = "/", .rules = {.write = "("}}}}), "none");
}

TEST(definition_set, guest_gets_in_from_this_machine_alone_wherever_it_comes_from) {
    const auto users = front_users(example());
    ASSERT_EQ(users.size(), 2u);
    EXPECT_FALSE(users[0].loopback_only);
    EXPECT_TRUE(users[1].loopback_only);
    EXPECT_TRUE(users[0].vhosts.contains("a"));
    EXPECT_FALSE(users[0].vhosts.contains("/"));
}

}  // namespace
}  // namespace foz::broker
