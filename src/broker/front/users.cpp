#include "broker/front/users.hpp"

#include "base/digest.hpp"
#include "base/encoding.hpp"

#include <algorithm>
#include <stdexcept>

namespace foz::broker {
namespace {

constexpr std::size_t salt_size = 4;
constexpr std::size_t known_max = 1'000;  // names for which an answer is kept
constexpr std::string_view sha256_name = "rabbit_password_hashing_sha256";
constexpr std::string_view sha512_name = "rabbit_password_hashing_sha512";

// RFC 4648 §4 with padding, as base64() makes it; empty for anything else.
std::string from_base64(std::string_view text) {
    std::string url(text);
    while (url.ends_with('=')) url.pop_back();
    std::ranges::replace(url, '+', '-');
    std::ranges::replace(url, '/', '_');
    return from_base64url(url).value_or(std::string());
}

std::string digest(std::string_view salt, std::string_view password, hashing algorithm) {
    const std::string salted = std::string(salt) + std::string(password);
    return algorithm == hashing::sha512 ? sha512(salted) : sha256(salted);
}

// In the same time whatever the difference is.
bool same(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
    return difference == 0;
}

std::optional<pattern> compiled(const std::string& rule) {
    auto made = pattern::compile(rule.empty() ? "^$" : rule);
    return made ? std::optional(std::move(*made)) : std::nullopt;
}

}  // namespace

std::string_view to_string(hashing algorithm) noexcept {
    return algorithm == hashing::sha512 ? sha512_name : sha256_name;
}

std::optional<hashing> hashing_of(std::string_view name) noexcept {
    if (name == sha256_name) return hashing::sha256;
    if (name == sha512_name) return hashing::sha512;
    return std::nullopt;
}

std::string hash_password(std::string_view password, std::uint32_t salt) {
    std::string octets(salt_size, '\0');
    for (std::size_t i = 0; i < salt_size; ++i) octets[i] = static_cast<char>(salt >> (8 * i));
    return base64(octets + digest(octets, password, hashing::sha256));
}

bool is_password_hash(std::string_view hash, hashing algorithm) {
    return from_base64(hash).size() == salt_size + digest({}, {}, algorithm).size();
}

bool check_password(std::string_view password, std::string_view hash, hashing algorithm) {
    const std::string octets = from_base64(hash);
    if (octets.size() <= salt_size) return false;
    const std::string_view salt = std::string_view(octets).substr(0, salt_size);
    return same(digest(salt, password, algorithm), std::string_view(octets).substr(salt_size));
}

access::access(const permissions& rules)
    : rules_{compiled(rules.configure), compiled(rules.write), compiled(rules.read)} {}

bool access::allows(permission what, const std::string& name) {
    const auto index = static_cast<std::size_t>(what);
    auto& known = known_[index];
    const auto at = known.find(name);
    if (at != known.end()) return at->second;
    if (known.size() >= known_max) known.clear();
    // RabbitMQ's name for the default exchange.
    const bool allowed = rules_[index] && rules_[index]->matches(name.empty() ? "amq.default" : name);
    known.emplace(name, allowed);
    return allowed;
}

users::users(std::vector<user_settings> all) : all_(std::move(all)) {
    for (const user_settings& one : all_)
        for (const auto& [vhost, rules] : one.vhosts)
            for (const std::string& rule : {rules.configure, rules.write, rules.read})
                if (const auto tried = pattern::compile(rule); !tried)
                    throw std::runtime_error("user " + one.name + ": a permission in " + vhost +
                                             " is no regular expression: " + tried.error());
    nobody_.password_hash = hash_password({}, 0);
}

const user_settings* users::authenticate(std::string_view name, std::string_view password, bool loopback) const {
    const user_settings* const who = find(name, loopback);
    // Somebody without a password takes as long as a wrong one too.
    const bool has_password = who && !who->password_hash.empty();
    const user_settings& checked = has_password ? *who : nobody_;
    const bool right = check_password(password, checked.password_hash, checked.algorithm);
    return right && has_password ? who : nullptr;
}

const user_settings* users::find(std::string_view name, bool loopback) const {
    const auto who = std::ranges::find(all_, name, &user_settings::name);
    if (who == all_.end() || (who->loopback_only && !loopback)) return nullptr;
    return &*who;
}

std::optional<access> users::enter(const user_settings& who, const std::string& vhost) {
    for (const std::string& name : {vhost, std::string("*")})
        if (const auto rules = who.vhosts.find(name); rules != who.vhosts.end()) return access(rules->second);
    return std::nullopt;
}

}  // namespace foz::broker
