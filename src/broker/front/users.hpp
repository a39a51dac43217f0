// Who may do what.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace foz::broker {

enum class permission : std::uint8_t { configure, write, read };

// What a user may do in one virtual host: regular expressions for names of queues and exchanges, as RabbitMQ has them.
struct permissions {
    std::string configure = ".*";
    std::string write = ".*";
    std::string read = ".*";
};

struct user_settings {
    std::string name;
    std::string password_hash;  // hash_password()
    bool loopback_only = false;
    std::map<std::string, permissions> vhosts;  // "*": in all of them
};

// base64 of a salt of 4 octets and SHA-256 of salt and password: RabbitMQ's own format, so that hashes can be moved.
std::string hash_password(std::string_view password, std::uint32_t salt);
bool check_password(std::string_view password, std::string_view hash);

// A user in one virtual host. Answers are remembered: names are few and expressions are slow.
class access {
public:
    explicit access(const permissions& rules);
    bool allows(permission what, const std::string& name);

private:
    std::regex rules_[3];
    std::map<std::string, bool, std::less<>> known_[3];
};

class users {
public:
    // Throws std::runtime_error that names the user whose rule is no regular expression.
    explicit users(std::vector<user_settings> all);

    const user_settings* authenticate(std::string_view name, std::string_view password, bool loopback) const;
    // Nothing when the user may not enter.
    static std::optional<access> enter(const user_settings& who, const std::string& vhost);

private:
    std::vector<user_settings> all_;
};

}  // namespace foz::broker
