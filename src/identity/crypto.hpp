// Keys and signatures: the only place that knows libcjose, and with crypto_pem.cpp OpenSSL. Internal to the module.
#pragma once

#include "identity/algorithm.hpp"

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct _cjose_jwk_int;
struct _cjose_jws_int;

namespace foz::identity {

// A key that libcjose has taken. Immutable: any number of threads may verify with one at a time.
class crypto_key {
public:
    // From a JWK (RFC 7517) with the members that its type needs; a point that isn't on its curve is refused.
    static std::optional<crypto_key> from_jwk(std::string_view json);

private:
    friend class signature;
    friend std::optional<std::string> sign(const crypto_key& with, algorithm how, const std::string& key_id,
                                           std::string_view claims);
    struct release {
        void operator()(_cjose_jwk_int* key) const noexcept;
    };
    std::unique_ptr<_cjose_jwk_int, release> key_;
};

// The signature of one token, to be tried with one key or several.
class signature {
public:
    // `token`: JWS compact serialisation that parse_token() has taken.
    explicit signature(std::string_view token);

    // The caller has made sure that the key's type is that of the token's algorithm. Leaves nothing in OpenSSL's queue
    // of errors, which the thread's TLS streams would take for theirs.
    bool is_by(const crypto_key& key);

private:
    struct release {
        void operator()(_cjose_jws_int* signed_text) const noexcept;
    };
    std::unique_ptr<_cjose_jws_int, release> token_;
};

// A token with these claims (JSON) and the header alg, typ and, when it isn't empty, kid. Nothing when the key is not
// a private one of the right type.
std::optional<std::string> sign(const crypto_key& with, algorithm how, const std::string& key_id,
                                std::string_view claims);

// The first key of a PEM text as a JWK: PKCS #8, PKCS #1, SEC 1 or a public key, RSA or EC, without a passphrase. With
// the private members when it is a private key. The error says what is wrong, and nothing of the text.
std::expected<std::string, std::string> jwk_of_pem(std::string_view pem);

}  // namespace foz::identity
