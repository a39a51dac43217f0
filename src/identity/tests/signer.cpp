#include "identity/tests/signer.hpp"

#include "base/encoding.hpp"
#include "identity/crypto.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <vector>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

namespace foz::identity {
namespace {

const EVP_MD* hash_of(std::string_view algorithm) {
    const std::string_view size = algorithm.substr(2);
    return size == "256" ? EVP_sha256() : size == "384" ? EVP_sha384() : EVP_sha512();
}

void require(bool good) {
    if (!good) throw std::runtime_error("OpenSSL");
}

// DER to r and s (RFC 7518 §3.4).
std::string raw_signature(const std::string& der, std::size_t octets) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* const both = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    require(both != nullptr);
    std::string out(2 * octets, '\0');
    auto* const to = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(both), to, static_cast<int>(octets));
    BN_bn2binpad(ECDSA_SIG_get0_s(both), to + octets, static_cast<int>(octets));
    ECDSA_SIG_free(both);
    return out;
}

template <class Write>
std::string pem_of(Write write) {
    BIO* const out = BIO_new(BIO_s_mem());
    require(write(out) == 1);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(out);
    return pem;
}

}  // namespace

test_key test_key::rsa(unsigned bits) {
    return test_key(EVP_RSA_gen(bits));
}

test_key test_key::ec(const char* curve) {
    return test_key(EVP_EC_gen(curve));
}

test_key test_key::ed25519() {
    return test_key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

std::string test_key::jwk(const std::string& id, const std::string& more) const {
    std::string out = jwk_of_pem(public_pem()).value();
    out.pop_back();
    return out + (id.empty() ? "" : R"(,"kid":")" + id + "\"") + more + "}";
}

std::string test_key::private_pem() const {
    return pem_of(
        [&](BIO* to) { return PEM_write_bio_PrivateKey(to, key_.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

std::string test_key::public_pem() const {
    return pem_of([&](BIO* to) { return PEM_write_bio_PUBKEY(to, key_.get()); });
}

std::string test_key::sign(std::string_view algorithm, std::string_view input) const {
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    require(EVP_DigestSignInit(context, &options, hash_of(algorithm), nullptr, key_.get()) == 1);
    if (algorithm.starts_with("PS")) {
        require(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1);
        require(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    const auto* const octets = reinterpret_cast<const unsigned char*>(input.data());
    std::size_t size = 0;
    require(EVP_DigestSign(context, nullptr, &size, octets, input.size()) == 1);
    std::string out(size, '\0');
    require(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, octets, input.size()) == 1);
    out.resize(size);
    EVP_MD_CTX_free(context);
    if (!algorithm.starts_with("ES")) return out;
    return raw_signature(out, static_cast<std::size_t>(EVP_PKEY_get_bits(key_.get()) + 7) / 8);
}

std::string hmac(std::string_view algorithm, std::string_view secret, std::string_view input) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    HMAC(hash_of(algorithm), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(input.data()), input.size(), out.data(), &size);
    return {reinterpret_cast<const char*>(out.data()), size};
}

std::string signing_input(std::string_view header, std::string_view claims) {
    return base64url(header) + "." + base64url(claims);
}

std::string token_of(const test_key& key, std::string_view algorithm, std::string_view header,
                     std::string_view claims) {
    const std::string input = signing_input(header, claims);
    return input + "." + base64url(key.sign(algorithm, input));
}

std::string token_of(std::string_view secret, std::string_view header, std::string_view claims,
                     std::string_view algorithm) {
    const std::string input = signing_input(header, claims);
    return input + "." + base64url(hmac(algorithm, secret, input));
}

std::string key_set_of(std::initializer_list<std::string> keys) {
    std::string all;
    for (const std::string& one : keys) all += (all.empty() ? "" : ",") + one;
    return R"({"keys":[)" + all + "]}";
}

scratch::scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "foz_identity_XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
}

scratch::~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

std::string scratch::file(const std::string& name, const std::string& text) const {
    const auto path = folder_ / name;
    std::ofstream(path.string() + ".new", std::ios::binary) << text;
    std::filesystem::rename(path.string() + ".new", path);
    return path.string();
}

}  // namespace foz::identity
