#include "identity/settings.hpp"

#include "identity/algorithm.hpp"
#include "identity/http_get.hpp"

#include <algorithm>
#include <optional>

namespace foz::identity {
namespace {

std::string algorithm_names() {
    std::string all;
    for (std::size_t i = 0; i < algorithms; ++i)
        all.append(i == 0 ? "" : i + 1 == algorithms ? " and " : ", ").append(name_of(static_cast<algorithm>(i)));
    return all;
}

void check_source(const issuer_settings& settings, std::vector<settings_flaw>& to) {
    std::vector<std::string> said;
    for (const auto& [key, text] :
         {std::pair("keys_url", &settings.keys_url), std::pair("keys_file", &settings.keys_file),
          std::pair("secret_file", &settings.secret_file), std::pair("secret_variable", &settings.secret_variable)})
        if (!text->empty()) said.emplace_back(key);
    if (said.empty())
        to.push_back(
            {"keys_url", "where the keys are is missing: keys_url, keys_file, secret_file or secret_variable"});
    if (said.size() > 1) to.push_back({said[1], "there is " + said[0] + " already; one of them is enough"});
    if (!settings.ca_file.empty() && settings.keys_url.empty())
        to.push_back({"ca", "only keys_url has a certificate to check; leave it out"});
}

// A list with both would let a public key's holder choose; that a key's type fits is checked all the same.
void check_algorithms(const issuer_settings& settings, std::vector<settings_flaw>& to) {
    bool secret = false;
    bool public_key = false;
    for (const std::string& name : settings.algorithms) {
        const auto one = parse_algorithm(name);
        if (!one) continue;
        (is_symmetric(*one) ? secret : public_key) = true;
    }
    if (secret && public_key)
        to.push_back({"algorithms", "HS algorithms and those of public keys don't go together; say two issuers"});
    else if (secret && !settings.keys_url.empty())
        to.push_back({"algorithms", "a secret can't come from a URL: no HS algorithm with keys_url"});
    else if (public_key && settings.has_secret())
        to.push_back({"algorithms", "a secret verifies HS256, HS384 and HS512 alone"});
}

}  // namespace

std::vector<std::string> issuer_settings::algorithms_in_force() const {
    if (!algorithms.empty()) return algorithms;
    if (has_secret()) return {"HS256"};
    return {"RS256", "ES256"};
}

std::string flaw_of_algorithm(std::string_view name) {
    if (parse_algorithm(name)) return {};
    if (name == "EdDSA") return "EdDSA is not supported (libcjose has none); ES256 is";
    return algorithm_names() + " are the algorithms, not " + std::string(name);
}

std::string flaw_of_keys_url(const std::string& url) {
    return flaw_of_fetch_url(url);
}

std::vector<settings_flaw> flaws_of(const issuer_settings& settings) {
    std::vector<settings_flaw> all;
    if (settings.issuer.empty()) all.push_back({"issuer", "is missing: what tokens say in iss"});
    check_source(settings, all);
    check_algorithms(settings, all);
    if (settings.refresh_interval < settings.refresh_pause)
        all.push_back({"refresh_pause_ms", "must not be longer than refresh_interval_ms"});
    return all;
}

}  // namespace foz::identity
