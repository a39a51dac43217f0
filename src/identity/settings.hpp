// An issuer of tokens as it is configured.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace foz::identity {

inline constexpr std::size_t issuers_max = 16;

// Exactly one of keys_url, keys_file, secret_file and secret_variable says where the keys are.
struct issuer_settings {
    std::string name;    // what logs and metrics call it
    std::string issuer;  // iss, compared octet by octet (RFC 7519 §4.1.1)

    std::string keys_url;         // of a JWK Set: https; http on the loopback alone
    std::string keys_file;        // a JWK Set, a JWK or a PEM key; read again at every refresh
    std::string secret_file;      // for HS256 to HS512; one line end behind it doesn't count
    std::string secret_variable;  // the name of an environment variable
    std::string ca_file;          // PEM: who signed the certificate of keys_url; empty: the system's

    std::vector<std::string> algorithms;  // empty: HS256 for a secret, else RS256 and ES256
    std::vector<std::string> audience;    // a token is for one of these at least; empty: for anybody

    // Before every subject: tells an issuer's clients from those of others.
    std::string client_prefix;

    std::chrono::seconds leeway{30};  // that clocks may differ
    // From now to exp at most; 0: not limited.
    std::chrono::seconds lifetime_max = std::chrono::hours(24);

    std::chrono::milliseconds refresh_interval = std::chrono::minutes(5);
    // Between two fetches at least, whatever key ids tokens name.
    std::chrono::milliseconds refresh_pause = std::chrono::seconds(30);
    std::chrono::milliseconds fetch_timeout = std::chrono::seconds(5);

    // Where the provider keeps Foz's claims (claim_path.hpp).
    std::string claim_channels = "/foz/channels";
    std::string claim_groups = "/foz/groups";
    std::string claim_limits = "/foz/limits";
    std::string claim_meta = "/foz/meta";

    bool has_secret() const noexcept { return !secret_file.empty() || !secret_variable.empty(); }
    // algorithms, or the usual ones.
    std::vector<std::string> algorithms_in_force() const;
};

// What is wrong with one value, in a few words, or empty.
std::string flaw_of_algorithm(std::string_view name);
std::string flaw_of_keys_url(const std::string& url);

struct settings_flaw {
    std::string key;  // "algorithms"; the configuration's name of it
    std::string text;
};

// What is wrong with the settings together: no issuer, no source of keys or two, algorithms that don't go with them.
// In the order of the keys; each setting by itself is well-formed. Reads no file and no variable.
std::vector<settings_flaw> flaws_of(const issuer_settings& settings);

}  // namespace foz::identity
