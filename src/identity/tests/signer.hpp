// Tokens made without the library under test: OpenSSL signs, and what stands in a token is the test's own affair.
#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

namespace foz::identity {

// 2027-01-15: the time of all tests with a fixed clock.
inline constexpr std::int64_t test_now_s = 1'800'000'000;

struct fixed_clock : clock {
    wall_time wall_now() const override { return wall_time(std::chrono::seconds(test_now_s)); }
};

class test_key {
public:
    static test_key rsa(unsigned bits = 2048);
    static test_key ec(const char* curve);  // "P-256"
    static test_key ed25519();

    // A public JWK with this kid (none when empty); `more` is like ,"use":"sig".
    std::string jwk(const std::string& id, const std::string& more = "") const;
    std::string private_pem() const;
    std::string public_pem() const;
    // The signature octets of a JWS, for RS, PS and ES algorithms.
    std::string sign(std::string_view algorithm, std::string_view input) const;

private:
    explicit test_key(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {}
    std::shared_ptr<EVP_PKEY> key_;
};

std::string hmac(std::string_view algorithm, std::string_view secret, std::string_view input);

// The three parts, unsigned: base64url(header).base64url(claims)
std::string signing_input(std::string_view header, std::string_view claims);
// Whole tokens.
std::string token_of(const test_key& key, std::string_view algorithm, std::string_view header, std::string_view claims);
std::string token_of(std::string_view secret, std::string_view header, std::string_view claims,
                     std::string_view algorithm = "HS256");

// {"keys":[…]}
std::string key_set_of(std::initializer_list<std::string> keys);

// A folder of this process's own, removed at the end.
class scratch {
public:
    scratch();
    ~scratch();
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    // Writes it as a whole, so that no reader sees half of it.
    std::string file(const std::string& name, const std::string& text) const;

private:
    std::filesystem::path folder_;
};

}  // namespace foz::identity
