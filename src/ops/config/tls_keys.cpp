#include "ops/config/tls_keys.hpp"

#include <string>
#include <utility>

namespace foz::ops {

std::optional<net::tls_files> parse_pair(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) return std::nullopt;
    net::tls_files pair{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
    if (pair.certificate_file.empty() || pair.key_file.empty()) return std::nullopt;
    return pair;
}

net::tls_server_options tls_of(const configuration& all) {
    net::tls_server_options made{.certificate_file = all.tls_certificate, .key_file = all.tls_key};
    if (all.tls_client_certificates != "off") made.client_ca_file = all.tls_client_ca;
    made.client_certificate_required = all.tls_client_certificates == "required";
    for (const std::string& pair : all.tls_more) made.more.push_back(*parse_pair(pair));
    return made;
}

void configuration_reader::check_tls(const configuration& all) {
    if (all.tls_certificate.empty() != all.tls_key.empty()) {
        const bool key_missing = all.tls_key.empty();
        problem(about(key_missing ? "listen.tls_certificate" : "listen.tls_key"),
                std::string(key_missing ? "tls_key" : "tls_certificate") + " is missing; they go together");
    }
    const bool plain = all.tls_certificate.empty();
    if (plain && !all.tls_more.empty())
        problem(about("listen.tls_more"), "these are further pairs; the first one is tls_certificate and tls_key");
    const bool asked = all.tls_client_certificates != "off";
    if (plain && asked)
        problem(about("listen.tls_client_certificates"), "without tls_certificate there is no TLS to show one in");
    if (asked && all.tls_client_ca.empty())
        problem(about("listen.tls_client_certificates"), "tls_client_ca is missing: whose certificates are believed?");
    if (!asked && !all.tls_client_ca.empty())
        problem(about("listen.tls_client_ca"),
                "without effect; say tls_client_certificates = \"optional\" or \"required\"");
}

}  // namespace foz::ops
