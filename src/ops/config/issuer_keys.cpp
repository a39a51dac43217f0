#include "identity/claim_path.hpp"
#include "ops/config/key_flaws.hpp"
#include "ops/config/key_makers.hpp"
#include "ops/config/key_table.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace foz::ops::table {
namespace {

using identity::issuer_settings;

std::string no_algorithms(const value& v) {
    for (const std::string& name : std::get<std::vector<std::string>>(v))
        if (std::string flaw = identity::flaw_of_algorithm(name); !flaw.empty()) return flaw;
    return {};
}

std::string no_audience(const value& v) {
    const auto& all = std::get<std::vector<std::string>>(v);
    return std::ranges::find(all, "") == all.end() ? "" : "an empty audience would be nobody";
}

std::string no_keys_url(const value& v) {
    const auto& url = std::get<std::string>(v);
    return url.empty() ? std::string() : identity::flaw_of_keys_url(url);
}

std::string no_path(const value& v) {
    const auto path = identity::parse_claim_path(std::get<std::string>(v));
    return path ? std::string() : path.error();
}

key claim(const char* name, std::string issuer_settings::* member, const char* help) {
    return with_flaw(text("issuers", name, member, "PATH", help), no_path);
}

}  // namespace

std::vector<key> issuer_keys() {
    using s = issuer_settings;
    const auto file = [](const char* name, std::string s::* member, const char* help) {
        return with_flaw(text("issuers", name, member, "FILE", help), no_file);
    };
    return {
        text("issuers", "issuer", &s::issuer, "", "what its tokens say in `iss`, exactly; needed"),
        with_flaw(text("issuers", "keys_url", &s::keys_url, "URL",
                       "of its JWK Set: https://, or http:// to a loopback address"),
                  no_keys_url),
        file("ca", &s::ca_file, "PEM file of the CA that signed the certificate of keys_url; empty: the system's"),
        file("keys_file", &s::keys_file, "a JWK Set, a JWK or a PEM key; read again when keys are refreshed"),
        file("secret_file", &s::secret_file,
             "a shared secret of at least 32 octets, for HS256 (48 for HS384, 64 for HS512); one line end at its end "
             "does not count"),
        with_flaw(text("issuers", "secret_variable", &s::secret_variable, "NAME",
                       "the environment variable that has the shared secret"),
                  no_variable),
        with_flaw(
            list("issuers", "algorithms", &s::algorithms, "ALGORITHM",
                 "that its tokens may be signed with: HS256, HS384, HS512, RS256 …, PS256 …, ES256 …; none: HS256 "
                 "for a secret, else RS256 and ES256"),
            no_algorithms),
        with_flaw(list("issuers", "audience", &s::audience, "",
                       "a token is taken when its `aud` has one of these; none: whatever its audience is"),
                  no_audience),
        text("issuers", "client_prefix", &s::client_prefix, "",
             "before each subject: what clients of this issuer are called; two issuers can't have the same"),
        number("issuers", "leeway_s", &s::leeway, {0, 600}, "s", "that its clock and ours may differ"),
        number("issuers", "lifetime_s", &s::lifetime_max, {0, 31'536'000}, "s",
               "from now to `exp` at most; 0: not limited"),
        number("issuers", "refresh_interval_ms", &s::refresh_interval, {1'000, day_ms}, "ms",
               "after which its keys are fetched again"),
        number("issuers", "refresh_pause_ms", &s::refresh_pause, {1'000, day_ms}, "ms",
               "between two fetches at least, whatever keys tokens name"),
        number("issuers", "fetch_timeout_ms", &s::fetch_timeout, {100, 60'000}, "ms", "that a fetch may take"),
        claim("claim_channels", &s::claim_channels,
              "where its tokens say what is granted: /foz/channels (a JSON pointer) or foz.channels"),
        claim("claim_groups", &s::claim_groups, "where they name groups"),
        claim("claim_limits", &s::claim_limits, "where they say limits"),
        claim("claim_meta", &s::claim_meta, "where they have what services are told as foz-meta"),
    };
}

}  // namespace foz::ops::table
