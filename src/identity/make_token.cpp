#include "identity/make_token.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "identity/keys.hpp"
#include "identity/strict_json.hpp"

#include <optional>
#include <utility>

#include <openssl/crypto.h>

namespace foz::identity {
namespace {

std::expected<signing_key, std::string> key_of(const token_request& what) {
    if (what.secret.empty()) return parse_signing_key(what.key);
    // The same bound as where it is verified.
    if (const auto good = keys_of_secret(what.secret); !good) return std::unexpected(good.error());
    std::string jwk = R"({"kty":"oct","k":")" + base64url(what.secret) + "\"}";
    auto made = parse_signing_key(jwk);
    OPENSSL_cleanse(jwk.data(), jwk.size());
    return made;
}

std::expected<algorithm, std::string> algorithm_of(const token_request& what, const signing_key& key) {
    if (!what.algorithm.empty()) {
        const auto named = parse_algorithm(what.algorithm);
        if (!named) return std::unexpected("there is no algorithm " + what.algorithm);
        if (!key.allowed.contains(*named))
            return std::unexpected("this key can't be used for " + std::string(name_of(*named)));
        return *named;
    }
    for (std::size_t i = 0; i < algorithms; ++i)
        if (key.allowed.contains(static_cast<algorithm>(i))) return static_cast<algorithm>(i);
    return std::unexpected("this key can't be used for signing");
}

std::string audience_json(const std::vector<std::string>& all) {
    if (all.size() == 1) return json_string(all.front());
    std::string out;
    for (const std::string& one : all) out += (out.empty() ? "[" : ",") + json_string(one);
    return out + "]";
}

std::string number(std::chrono::sys_seconds at) {
    return std::to_string(at.time_since_epoch().count());
}

std::expected<std::string, std::string> claims_of(const token_request& what) {
    std::vector<std::pair<std::string_view, std::string>> said{{"iss", json_string(what.issuer)},
                                                               {"sub", json_string(what.subject)}};
    if (!what.audience.empty()) said.emplace_back("aud", audience_json(what.audience));
    said.emplace_back("iat", number(what.issued));
    said.emplace_back("exp", number(what.expires));
    if (!what.token_id.empty()) said.emplace_back("jti", json_string(what.token_id));
    std::string out;
    for (const auto& [name, value] : said)
        out.append(out.empty() ? "{" : ",").append(json_string(name)).append(":").append(value);
    if (what.more.empty()) return out + "}";
    const auto more = parse_object(what.more);
    if (!more)
        return std::unexpected(more.error() == json_flaw::duplicate_member ? "the claims have a member twice"
                                                                           : "the claims are not a JSON object");
    for (const auto& [name, value] : *more) {
        for (const auto& [taken, ignored] : said)
            if (taken == name) return std::unexpected("the claims say " + std::string(name) + " again");
        out.append(",").append(json_string(name)).append(":").append(simdjson::minify(value));
    }
    return out + "}";
}

}  // namespace

std::expected<std::string, std::string> make_token(const token_request& what) {
    const auto key = key_of(what);
    if (!key) return std::unexpected(key.error());
    const auto how = algorithm_of(what, *key);
    if (!how) return std::unexpected(how.error());
    const auto claims = claims_of(what);
    if (!claims) return std::unexpected(claims.error());
    auto made = sign(key->crypto, *how, what.key_id.empty() ? key->id : what.key_id, *claims);
    if (!made) return std::unexpected("the token can't be signed with this key");
    return std::move(*made);
}

}  // namespace foz::identity
