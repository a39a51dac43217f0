// Tokens for development and for tests: what an identity provider does otherwise.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <vector>

namespace foz::identity {

struct token_request {
    // One of both: a shared secret of 32 octets at least, or a private key as a JWK or PEM.
    std::string secret;
    std::string key;
    std::string algorithm;  // empty: HS256, or the first that the key may be used for
    std::string key_id;     // kid; empty: the JWK's own, or none

    std::string subject;
    std::string issuer;
    std::vector<std::string> audience;  // empty: no aud
    std::string token_id;               // empty: no jti
    std::chrono::sys_seconds issued;
    std::chrono::sys_seconds expires;
    std::string more;  // a JSON object of further claims, or empty; it may not say again what is said above
};

// JWS compact serialisation (RFC 7515 §3.1). The error is one line, without the secret or the key.
std::expected<std::string, std::string> make_token(const token_request& what);

}  // namespace foz::identity
