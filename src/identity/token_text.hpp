// A signed token as it comes: JWS compact serialisation (RFC 7515 §3.1), taken apart and not yet believed.
#pragma once

#include "identity/algorithm.hpp"
#include "identity/refusal.hpp"

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace foz::identity {

inline constexpr std::size_t token_octets_max = 16 * 1024;
inline constexpr std::size_t key_id_octets_max = 256;

struct token_text {
    algorithm how = algorithm::hs256;
    std::optional<std::string> key_id;  // kid
    std::string claims;                 // decoded, not parsed
    std::size_t signature_octets = 0;
};

// Pure; any thread. Refuses by the text and the header alone: too_large to unknown_algorithm. Of the header alg, kid,
// typ, cty and crit count; keys or addresses of keys in it (jwk, jku, x5c, x5u) are never used.
std::expected<token_text, refusal> parse_token(std::string_view text);

struct token_contents {
    std::string header;  // JSON without white space
    std::string claims;
};

// What a token says, whoever has signed it: for people. Nothing when a part isn't a JSON object.
std::optional<token_contents> read_contents(std::string_view text);

}  // namespace foz::identity
