#include "broker/front/users.hpp"

#include "base/digest.hpp"
#include "base/encoding.hpp"

#include <algorithm>
#include <stdexcept>

namespace foz::broker {
namespace {

constexpr std::size_t salt_size = 4;
constexpr std::size_t known_max = 1'000;  // names for which an answer is kept

// RFC 4648 §4 with padding, as base64() makes it; empty for anything else.
std::string from_base64(std::string_view text) {
    std::string url(text);
    while (url.ends_with('=')) url.pop_back();
    std::ranges::replace(url, '+', '-');
    std::ranges::replace(url, '/', '_');
    return from_base64url(url).value_or(std::string());
}

std::string digest(std::string_view salt, std::string_view password) {
    return sha256(std::string(salt) + std::string(password));
}

}  // namespace

std::string hash_password(std::string_view password, std::uint32_t salt) {
    std::string octets(salt_size, '\0');
    for (std::size_t i = 0; i < salt_size; ++i) octets[i] = static_cast<char>(salt >> (8 * i));
    return base64(octets + digest(octets, password));
}

bool check_password(std::string_view password, std::string_view hash) {
    const std::string octets = from_base64(hash);
    if (octets.size() <= salt_size) return false;
    const std::string expected = octets.substr(salt_size);
    const std::string got = digest(octets.substr(0, salt_size), password);
    if (got.size() != expected.size()) return false;
    // In the same time whatever the difference is.
    unsigned difference = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
        difference |= static_cast<unsigned char>(got[i]) ^ static_cast<unsigned char>(expected[i]);
    return difference == 0;
}

access::access(const permissions& rules)
    : rules_{std::regex(rules.configure), std::regex(rules.write), std::regex(rules.read)} {}

bool access::allows(permission what, const std::string& name) {
    const auto index = static_cast<std::size_t>(what);
    auto& known = known_[index];
    const auto at = known.find(name);
    if (at != known.end()) return at->second;
    if (known.size() >= known_max) known.clear();
    // RabbitMQ's name for the default exchange.
    const bool allowed = std::regex_search(name.empty() ? std::string("amq.default") : name, rules_[index],
                                           std::regex_constants::match_default);
    known.emplace(name, allowed);
    return allowed;
}

users::users(std::vector<user_settings> all) : all_(std::move(all)) {
    for (const user_settings& one : all_) {
        for (const auto& [vhost, rules] : one.vhosts) {
            try {
                access tried(rules);
            } catch (const std::regex_error&) {
                throw std::runtime_error("user " + one.name + ": a permission in " + vhost +
                                         " is no regular expression");
            }
        }
    }
}

const user_settings* users::authenticate(std::string_view name, std::string_view password, bool loopback) const {
    const auto who = std::ranges::find(all_, name, &user_settings::name);
    if (who == all_.end() || !check_password(password, who->password_hash)) return nullptr;
    return who->loopback_only && !loopback ? nullptr : &*who;
}

std::optional<access> users::enter(const user_settings& who, const std::string& vhost) {
    for (const std::string& name : {vhost, std::string("*")})
        if (const auto rules = who.vhosts.find(name); rules != who.vhosts.end()) return access(rules->second);
    return std::nullopt;
}

}  // namespace foz::broker
