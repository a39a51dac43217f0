#include "cli/embedded_options.hpp"

#include "ops/log.hpp"

#include <optional>
#include <string>

namespace foz::cli {

namespace {

std::optional<broker::tls_options> tls_options(const ops::embedded_settings& wish) {
    if (wish.tls_listen.empty()) return std::nullopt;
    const ops::endpoint where = *ops::parse_endpoint(wish.tls_listen);
    return broker::tls_options{.address = where.address,
                               .port = where.port,
                               .certificate_file = wish.tls_certificate,
                               .key_file = wish.tls_key,
                               .client_ca_file = wish.tls_ca};
}

}  // namespace

broker::embedded_options embedded_options(const ops::configuration& all) {
    const ops::embedded_settings& wish = all.embedded;
    const ops::endpoint where = *ops::parse_endpoint(wish.listen);
    return {.data = wish.data,
            .address = where.address,
            .port = where.port,
            .tls = tls_options(wish),
            .proxies = wish.proxy_protocol,
            .vhosts = wish.vhosts,
            .definitions_file = wish.definitions,
            .limits = {.disk_free_bytes = wish.disk_free_bytes, .memory_bytes = wish.memory_bytes},
            .version = FOZ_VERSION,
            .notice = [](const std::string& text) { ops::notice("broker: " + text); }};
}

}  // namespace foz::cli
