// What operators define: users and what they may do, virtual hosts, policies, and topology. RabbitMQ calls it
// definitions and has a JSON format for it (definitions/json.hpp); as a struct it needs no text.
#pragma once

#include "broker/core/policy.hpp"
#include "broker/core/vhost.hpp"
#include "broker/front/users.hpp"

#include <expected>
#include <optional>
#include <string>
#include <vector>

namespace foz::broker {

struct user_definition {
    std::string name;
    std::string password_hash{};  // hash_password(); empty: no password
    hashing algorithm = hashing::sha256;
    std::vector<std::string> tags{};

    bool operator==(const user_definition&) const = default;
};

struct permission_definition {
    std::string user;
    std::string vhost;
    permissions rules{};

    bool operator==(const permission_definition&) const = default;
};

struct queue_definition {
    std::string vhost;
    queue_request is;
};

struct exchange_definition {
    std::string vhost;
    exchange_request is;
};

struct binding_definition {
    std::string vhost;
    binding_request is;
};

struct definition_set {
    std::vector<std::string> vhosts{};
    std::vector<user_definition> users{};
    std::vector<permission_definition> permissions{};
    std::optional<std::vector<policy>> policies{};  // nothing: as they are; empty: none from now on
    std::vector<exchange_definition> exchanges{};
    std::vector<queue_definition> queues{};
    std::vector<binding_definition> bindings{};
};

// `later` on top of what there is. Virtual hosts are added to; users, permissions and policies, when `later` has any,
// replace all that there were (who is not in the file any more must not get in any more); topology is not looked at.
void lay_over(definition_set& there, const definition_set& later);
// Both together, of one start.
void append(definition_set& to, const definition_set& more);

// Whether everything in `what` makes sense where `all` is what there will be: known users and virtual hosts, policies
// and expressions that can be read. The error is "permissions[2].user: …".
std::expected<void, std::string> check(const definition_set& what, const definition_set& all);

// As the front wants them. Whoever is called guest gets in from this machine alone, as RabbitMQ has it: everybody
// knows the password.
std::vector<user_settings> front_users(const definition_set& all);

}  // namespace foz::broker
