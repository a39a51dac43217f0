#include "identity/crypto.hpp"

#include <array>
#include <cjose/cjose.h>
#include <cstdint>
#include <utility>

#include <openssl/err.h>

namespace foz::identity {

void crypto_key::release::operator()(_cjose_jwk_int* key) const noexcept {
    cjose_jwk_release(key);
}

void signature::release::operator()(_cjose_jws_int* signed_text) const noexcept {
    cjose_jws_release(signed_text);
}

std::optional<crypto_key> crypto_key::from_jwk(std::string_view json) {
    cjose_err ignored{};
    crypto_key made;
    made.key_.reset(cjose_jwk_import(json.data(), json.size(), &ignored));
    ERR_clear_error();
    if (!made.key_) return std::nullopt;
    return made;
}

signature::signature(std::string_view token) {
    cjose_err ignored{};
    token_.reset(cjose_jws_import(token.data(), token.size(), &ignored));
    ERR_clear_error();
}

bool signature::is_by(const crypto_key& key) {
    if (!token_) return false;
    cjose_err ignored{};
    const bool good = cjose_jws_verify(token_.get(), key.key_.get(), &ignored);
    ERR_clear_error();
    return good;
}

std::optional<std::string> sign(const crypto_key& with, algorithm how, const std::string& key_id,
                                std::string_view claims) {
    cjose_err ignored{};
    const std::unique_ptr<cjose_header_t, void (*)(cjose_header_t*)> header(cjose_header_new(&ignored),
                                                                            cjose_header_release);
    if (!header) return std::nullopt;
    const std::array<std::pair<const char*, std::string>, 3> members{
        {{CJOSE_HDR_ALG, std::string(name_of(how))}, {"typ", "JWT"}, {CJOSE_HDR_KID, key_id}}};
    for (const auto& [name, text] : members)
        if (!text.empty() && !cjose_header_set(header.get(), name, text.c_str(), &ignored)) return std::nullopt;
    const std::unique_ptr<cjose_jws_t, void (*)(cjose_jws_t*)> made(
        cjose_jws_sign(with.key_.get(), header.get(), reinterpret_cast<const std::uint8_t*>(claims.data()),
                       claims.size(), &ignored),
        cjose_jws_release);
    ERR_clear_error();
    const char* text = nullptr;
    if (!made || !cjose_jws_export(made.get(), &text, &ignored) || !text) return std::nullopt;
    return text;
}

}  // namespace foz::identity
