// Who may do what.
#pragma once

#include "broker/core/pattern.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::broker {

enum class permission : std::uint8_t { configure, write, read };

// What a user may do in one virtual host: regular expressions for names of queues and exchanges, as RabbitMQ has them.
// They are searched for anywhere in a name; an empty one allows nothing.
struct permissions {
    std::string configure = ".*";
    std::string write = ".*";
    std::string read = ".*";

    bool operator==(const permissions&) const = default;
};

enum class hashing : std::uint8_t { sha256, sha512 };

// RabbitMQ's name of it (rabbit_password_hashing_sha256), and back.
std::string_view to_string(hashing algorithm) noexcept;
std::optional<hashing> hashing_of(std::string_view name) noexcept;

struct user_settings {
    std::string name;
    std::string password_hash{};  // hash_password(); empty: no password lets the user in
    hashing algorithm = hashing::sha256;
    std::vector<std::string> tags{};  // RabbitMQ's management reads them, nothing here does
    bool loopback_only = false;
    std::map<std::string, permissions> vhosts{};  // "*": in all of them
};

// base64 of a salt of 4 octets and the digest of salt and password: RabbitMQ's own format, so that hashes can be moved.
std::string hash_password(std::string_view password, std::uint32_t salt);
bool check_password(std::string_view password, std::string_view hash, hashing algorithm = hashing::sha256);
// Whether it is one: base64 of as many octets as the algorithm gives.
bool is_password_hash(std::string_view hash, hashing algorithm);

// A user in one virtual host. Answers are remembered: names are few and expressions are slow.
class access {
public:
    // One that is no regular expression allows nothing.
    explicit access(const permissions& rules);
    bool allows(permission what, const std::string& name);

private:
    std::optional<pattern> rules_[3];
    std::map<std::string, bool, std::less<>> known_[3];
};

class users {
public:
    // Throws std::runtime_error that names the user whose rule is no regular expression.
    explicit users(std::vector<user_settings> all);

    // Takes as long for a name that nobody has as for a wrong password.
    const user_settings* authenticate(std::string_view name, std::string_view password, bool loopback) const;
    // Of a user whom somebody else vouches for.
    const user_settings* find(std::string_view name, bool loopback) const;
    // Nothing when the user may not enter.
    static std::optional<access> enter(const user_settings& who, const std::string& vhost);

private:
    std::vector<user_settings> all_;
    user_settings nobody_;
};

}  // namespace foz::broker
