#include "identity/keys.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "identity/strict_json.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <utility>

#include <openssl/crypto.h>

namespace foz::identity {
namespace {

using simdjson::dom::object;

struct shape {
    key_type type;
    std::size_t secret_octets = 0;     // of a secret
    std::size_t signature_octets = 0;  // of others
};

std::size_t bits_of(std::string_view number) {
    number.remove_prefix(std::min(number.find_first_not_of('\0'), number.size()));
    if (number.empty()) return 0;
    return (number.size() - 1) * 8 + std::bit_width(static_cast<std::uint8_t>(number[0]));
}

std::optional<std::string> octets_of(object jwk, std::string_view name) {
    const auto text = string_member(jwk, name);
    return text ? from_base64url(*text) : std::nullopt;
}

std::optional<shape> rsa_shape(object jwk) {
    const auto n = octets_of(jwk, "n");
    const auto e = octets_of(jwk, "e");
    if (!n || !e || bits_of(*n) < rsa_bits_min || bits_of(*n) > rsa_bits_max) return std::nullopt;
    // With the exponent 1 anybody could sign.
    const bool odd = !e->empty() && (static_cast<std::uint8_t>(e->back()) & 1) != 0;
    if (!odd || bits_of(*e) < 2) return std::nullopt;
    return shape{key_type::rsa, 0, (bits_of(*n) + 7) / 8};
}

std::optional<shape> shape_of(object jwk) {
    const auto kty = string_member(jwk, "kty");
    if (kty == "RSA") return rsa_shape(jwk);
    if (kty == "oct") {
        auto secret = octets_of(jwk, "k");
        if (!secret) return std::nullopt;
        const shape made{key_type::secret, secret->size()};
        OPENSSL_cleanse(secret->data(), secret->size());
        return made;
    }
    if (kty != "EC") return std::nullopt;
    const auto curve = string_member(jwk, "crv");
    if (curve == "P-256") return shape{key_type::p256, 0, 64};
    if (curve == "P-384") return shape{key_type::p384, 0, 96};
    if (curve == "P-521") return shape{key_type::p521, 0, 132};
    return std::nullopt;
}

// RFC 7517 §4.2, §4.3: what is said of a key's use is respected.
bool may_be_used(object jwk, std::string_view operation) {
    if (member(jwk, "use") && string_member(jwk, "use") != "sig") return false;
    const auto operations = member(jwk, "key_ops");
    if (!operations) return true;
    simdjson::dom::array list;
    if (operations->get(list) != simdjson::SUCCESS) return false;
    return std::ranges::any_of(list, [&](const simdjson::dom::element one) {
        std::string_view text;
        return one.get(text) == simdjson::SUCCESS && text == operation;
    });
}

algorithm_set allowed_for(object jwk, const shape& of, std::string_view operation) {
    algorithm_set all;
    if (!may_be_used(jwk, operation)) return all;
    const auto only = member(jwk, "alg");
    for (std::size_t i = 0; i < algorithms; ++i) {
        const auto one = static_cast<algorithm>(i);
        const bool named = !only || string_member(jwk, "alg") == name_of(one);  // RFC 7517 §4.4
        const bool long_enough = of.type != key_type::secret || of.secret_octets >= secret_octets_min(one);
        if (named && key_type_for(one) == of.type && long_enough) all.insert(one);
    }
    return all;
}

// The members that the key's type has (RFC 7518 §6), and nothing else.
std::string bare_jwk(object jwk, const shape& of, bool with_private) {
    std::vector<const char*> names;
    if (of.type == key_type::rsa) {
        names = {"n", "e"};
        if (with_private) names.insert(names.end(), {"d", "p", "q", "dp", "dq", "qi"});
    } else if (of.type == key_type::secret) {
        names = {"k"};
    } else {
        names = {"crv", "x", "y"};
        if (with_private) names.push_back("d");
    }
    std::string out = R"({"kty":)" + json_string(string_member(jwk, "kty").value_or(""));
    for (const char* const name : names)
        if (const auto text = string_member(jwk, name))
            out.append(",\"").append(name).append("\":").append(json_string(*text));
    return out + "}";
}

std::optional<crypto_key> import(object jwk, const shape& of, bool with_private) {
    std::string bare = bare_jwk(jwk, of, with_private);
    auto made = crypto_key::from_jwk(bare);
    OPENSSL_cleanse(bare.data(), bare.size());
    return made;
}

std::optional<key> read_key(object jwk, secrets taken) {
    const auto of = shape_of(jwk);
    if (!of || (of->type == key_type::secret && taken == secrets::refused)) return std::nullopt;
    if (member(jwk, "kid") && !string_member(jwk, "kid")) return std::nullopt;
    auto crypto = import(jwk, *of, false);
    if (!crypto) return std::nullopt;
    return key{.id = std::string(string_member(jwk, "kid").value_or("")),
               .allowed = allowed_for(jwk, *of, "verify"),
               .signature_octets = of->signature_octets,
               .crypto = std::move(*crypto)};
}

bool is_pem(std::string_view text) {
    return text.find("-----BEGIN ") != std::string_view::npos;
}

std::expected<key_set, std::string> read_set(object all, secrets taken) {
    key_set made;
    const auto take = [&](object jwk) {
        if (auto one = read_key(jwk, taken))
            made.keys.push_back(std::move(*one));
        else
            ++made.passed_over;
    };
    if (member(all, "kty")) {
        take(all);
    } else {
        simdjson::dom::array list;
        const auto keys = member(all, "keys");
        if (!keys || keys->get(list) != simdjson::SUCCESS) return std::unexpected("this is not a JWK Set");
        if (list.size() > keys_max)
            return std::unexpected("this JWK Set has more than " + std::to_string(keys_max) + " keys");
        for (const simdjson::dom::element one : list) {
            object jwk;
            if (one.get(jwk) == simdjson::SUCCESS)
                take(jwk);
            else
                ++made.passed_over;
        }
    }
    const auto useful = [](const key& one) { return !one.allowed.empty(); };
    if (std::ranges::none_of(made.keys, useful)) return std::unexpected("there is no key in it that Foz can use");
    return made;
}

}  // namespace

std::expected<key_set, std::string> parse_keys(std::string_view text, secrets taken) {
    if (text.size() > key_set_octets_max)
        return std::unexpected("this is larger than " + std::to_string(key_set_octets_max) + " octets");
    std::string from_pem;
    if (is_pem(text)) {
        auto jwk = jwk_of_pem(text);
        if (!jwk) return std::unexpected(jwk.error());
        from_pem = std::move(*jwk);
        text = from_pem;
    }
    const auto all = parse_object(text);
    if (!all)
        return std::unexpected(all.error() == json_flaw::duplicate_member ? "this JSON has a member twice"
                                                                          : "this is not a JSON object");
    auto made = read_set(*all, taken);
    OPENSSL_cleanse(from_pem.data(), from_pem.size());
    return made;
}

std::expected<key_set, std::string> keys_of_secret(std::string_view secret) {
    const std::size_t octets_min = secret_octets_min(algorithm::hs256);
    if (secret.size() < octets_min)
        return std::unexpected("a secret has at least " + std::to_string(octets_min) + " octets (RFC 7518 §3.2)");
    std::string jwk = R"({"kty":"oct","k":")" + base64url(secret) + "\"}";
    auto made = parse_keys(jwk, secrets::taken);
    OPENSSL_cleanse(jwk.data(), jwk.size());
    return made;
}

std::expected<signing_key, std::string> parse_signing_key(std::string_view text) {
    std::string from_pem;
    if (is_pem(text)) {
        auto jwk = jwk_of_pem(text);
        if (!jwk) return std::unexpected(jwk.error());
        from_pem = std::move(*jwk);
        text = from_pem;
    }
    const auto jwk = parse_object(text);
    if (!jwk) return std::unexpected("neither a JWK nor PEM");
    const auto of = shape_of(*jwk);
    if (!of) return std::unexpected("a key of a type or size that Foz does not support");
    if (of->type != key_type::secret && !member(*jwk, "d")) return std::unexpected("this is no private key");
    auto crypto = import(*jwk, *of, true);
    OPENSSL_cleanse(from_pem.data(), from_pem.size());
    if (!crypto) return std::unexpected("the key is broken");
    return signing_key{std::string(string_member(*jwk, "kid").value_or("")), allowed_for(*jwk, *of, "sign"),
                       std::move(*crypto)};
}

}  // namespace foz::identity
