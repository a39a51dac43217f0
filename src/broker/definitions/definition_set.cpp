#include "broker/definitions/definition_set.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
namespace {

using checked = std::expected<void, std::string>;

std::string path(const char* section, std::size_t index, const std::string& key) {
    return std::string(section) + "[" + std::to_string(index) + "]." + key + ": ";
}

checked check_vhost(const definition_set& all, const std::string& name, const char* section, std::size_t index) {
    if (std::ranges::find(all.vhosts, name) != all.vhosts.end()) return {};
    return std::unexpected(path(section, index, "vhost") + "there is no virtual host '" + name + "'");
}

template <class Section>
checked check_vhosts(const definition_set& all, const Section& section, const char* name) {
    for (std::size_t i = 0; i < section.size(); ++i)
        if (auto known = check_vhost(all, section[i].vhost, name, i); !known) return known;
    return {};
}

checked check_permissions(const definition_set& what, const definition_set& all) {
    for (std::size_t i = 0; i < what.permissions.size(); ++i) {
        const permission_definition& one = what.permissions[i];
        if (std::ranges::find(all.users, one.user, &user_definition::name) == all.users.end())
            return std::unexpected(path("permissions", i, "user") + "there is no user '" + one.user + "'");
        const std::pair<const char*, const std::string&> rules[] = {
            {"configure", one.rules.configure}, {"write", one.rules.write}, {"read", one.rules.read}};
        for (const auto& [key, rule] : rules)
            if (const auto compiled = pattern::compile(rule); !compiled)
                return std::unexpected(path("permissions", i, key) + compiled.error());
    }
    return {};
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

void lay_over(definition_set& there, const definition_set& later) {
    for (const std::string& name : later.vhosts)
        if (std::ranges::find(there.vhosts, name) == there.vhosts.end()) there.vhosts.push_back(name);
    if (!later.users.empty()) {
        there.users = later.users;
        there.permissions = later.permissions;
    } else if (!later.permissions.empty()) {
        there.permissions = later.permissions;
    }
    if (later.policies) there.policies = later.policies;
}

void append(definition_set& to, const definition_set& more) {
    append(to.vhosts, more.vhosts);
    append(to.users, more.users);
    append(to.permissions, more.permissions);
    if (more.policies) {
        if (!to.policies) to.policies.emplace();
        append(*to.policies, *more.policies);
    }
    append(to.exchanges, more.exchanges);
    append(to.queues, more.queues);
    append(to.bindings, more.bindings);
}

checked check(const definition_set& what, const definition_set& all) {
    for (std::size_t i = 0; i < what.vhosts.size(); ++i)
        if (what.vhosts[i] == "*")  // user_settings: all of them
            return std::unexpected(path("vhosts", i, "name") + "'*' can't be the name of a virtual host");
    if (auto good = check_permissions(what, all); !good) return good;
    const std::vector<policy> none;
    const std::vector<policy>& policies = what.policies ? *what.policies : none;
    for (std::size_t i = 0; i < policies.size(); ++i)
        if (const auto read = read_policy(policies[i]); !read)
            return std::unexpected(path("policies", i, read.error().at) + read.error().text);
    const checked vhosts[] = {check_vhosts(all, what.permissions, "permissions"),
                              check_vhosts(all, policies, "policies"), check_vhosts(all, what.exchanges, "exchanges"),
                              check_vhosts(all, what.queues, "queues"), check_vhosts(all, what.bindings, "bindings")};
    for (const checked& good : vhosts)
        if (!good) return good;
    return {};
}

std::vector<user_settings> front_users(const definition_set& all) {
    std::vector<user_settings> out;
    for (const user_definition& one : all.users) {
        user_settings made{.name = one.name,
                           .password_hash = one.password_hash,
                           .algorithm = one.algorithm,
                           .tags = one.tags,
                           .loopback_only = one.name == "guest"};
        for (const permission_definition& may : all.permissions)
            if (may.user == one.name) made.vhosts.insert_or_assign(may.vhost, may.rules);
        out.push_back(std::move(made));
    }
    return out;
}

}  // namespace foz::broker
