// The keys of one issuer (JWK Set, RFC 7517 §5). Internal to the module.
#pragma once

#include "identity/algorithm.hpp"
#include "identity/crypto.hpp"

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace foz::identity {

inline constexpr std::size_t key_set_octets_max = 256 * 1024;
inline constexpr std::size_t keys_max = 64;
inline constexpr std::size_t rsa_bits_min = 2048;  // RFC 7518 §3.3
inline constexpr std::size_t rsa_bits_max = 8192;  // a larger one makes every verification slow

// Immutable.
struct key {
    std::string id;         // kid, or empty
    algorithm_set allowed;  // by its type, size, alg, use and key_ops; may be empty
    // Of an RSA or EC signature, exactly (RFC 7518 §3.3 to §3.5): with zeros in front it would be another text of the
    // same token. 0: a secret's is as long as the hash.
    std::size_t signature_octets = 0;
    crypto_key crypto;
};

struct key_set {
    std::vector<key> keys;
    std::size_t passed_over = 0;  // of a type or size that is not supported, or broken
};

// Who may be a secret (kty oct): nobody may in what everyone can read.
enum class secrets : bool { refused, taken };

// From a JWK Set, one JWK, or a PEM text. Private members are left out. A key that can't be used is passed over; when
// none is left, or the text is nothing of the three, the error says why and nothing of the text.
std::expected<key_set, std::string> parse_keys(std::string_view text, secrets taken);

// One secret without an id, for HS256 and, when it is long enough, HS384 and HS512; at least 32 octets.
std::expected<key_set, std::string> keys_of_secret(std::string_view secret);

// A key that signs: a JWK with its private members, or PEM.
struct signing_key {
    std::string id;
    algorithm_set allowed;  // key_ops says sign, or nothing
    crypto_key crypto;
};
std::expected<signing_key, std::string> parse_signing_key(std::string_view text);

}  // namespace foz::identity
