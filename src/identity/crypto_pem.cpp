#include "base/encoding.hpp"
#include "identity/crypto.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace foz::identity {
namespace {

using pkey = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

// Else OpenSSL would ask on the terminal.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

pkey read_pem(std::string_view text, bool of_private) {
    const std::unique_ptr<BIO, int (*)(BIO*)> in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
    if (!in) return {nullptr, EVP_PKEY_free};
    const auto read = of_private ? PEM_read_bio_PrivateKey : PEM_read_bio_PUBKEY;
    return {read(in.get(), nullptr, no_passphrase, nullptr), EVP_PKEY_free};
}

// A parameter of the key, big-endian; filled up with zeros to `octets_min`. Empty when the key has none.
std::string number_of(const EVP_PKEY* key, const char* name, std::size_t octets_min = 0) {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
    const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> number(raw, BN_clear_free);
    const std::size_t octets = std::max(octets_min, static_cast<std::size_t>(BN_num_bytes(raw)));
    std::string out(octets, '\0');
    BN_bn2binpad(raw, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(octets));
    return out;
}

void append_member(std::string& to, const char* name, const std::string& octets) {
    if (!octets.empty()) to.append(",\"").append(name).append("\":\"").append(base64url(octets)).append("\"");
}

std::string jwk_of_rsa(const EVP_PKEY* key) {
    constexpr std::array<std::pair<const char*, const char*>, 8> members{{{"n", OSSL_PKEY_PARAM_RSA_N},
                                                                          {"e", OSSL_PKEY_PARAM_RSA_E},
                                                                          {"d", OSSL_PKEY_PARAM_RSA_D},
                                                                          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
                                                                          {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
                                                                          {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
                                                                          {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
                                                                          {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}}};
    std::string out = R"({"kty":"RSA")";
    for (const auto& [member, parameter] : members) append_member(out, member, number_of(key, parameter));
    return out + "}";
}

std::expected<std::string, std::string> jwk_of_ec(const EVP_PKEY* key) {
    struct curve {
        std::string_view group;
        const char* name;
        std::size_t octets;
    };
    constexpr std::array<curve, 3> curves{
        {{"prime256v1", "P-256", 32}, {"secp384r1", "P-384", 48}, {"secp521r1", "P-521", 66}}};
    std::array<char, 80> group{};
    EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(), nullptr);
    for (const curve& one : curves) {
        if (one.group != group.data()) continue;
        std::string out = std::string(R"({"kty":"EC","crv":")") + one.name + "\"";
        append_member(out, "x", number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, one.octets));
        append_member(out, "y", number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, one.octets));
        append_member(out, "d", number_of(key, OSSL_PKEY_PARAM_PRIV_KEY, one.octets));
        return out + "}";
    }
    return std::unexpected("the curve of the PEM key is none of P-256, P-384 and P-521");
}

}  // namespace

std::expected<std::string, std::string> jwk_of_pem(std::string_view pem) {
    pkey key = read_pem(pem, true);
    if (!key) key = read_pem(pem, false);
    ERR_clear_error();
    if (!key) return std::unexpected("no PEM key that can be read without a passphrase");
    std::expected<std::string, std::string> made =
        std::unexpected("the PEM key is neither RSA nor EC; libcjose has no EdDSA");
    if (EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA) made = jwk_of_rsa(key.get());
    if (EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_EC) made = jwk_of_ec(key.get());
    ERR_clear_error();
    return made;
}

}  // namespace foz::identity
