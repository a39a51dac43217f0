#include "cli/embedded_options.hpp"

#include <string>

#include <spdlog/spdlog.h>

namespace foz::cli {

broker::embedded_options embedded_options(const ops::configuration& all) {
    const ops::embedded_settings& wish = all.embedded;
    const ops::endpoint where = *ops::parse_endpoint(wish.listen);
    return {.data = wish.data,
            .address = where.address,
            .port = where.port,
            .vhosts = wish.vhosts,
            .definitions_file = wish.definitions,
            .limits = {.disk_free_bytes = wish.disk_free_bytes, .memory_bytes = wish.memory_bytes},
            .version = FOZ_VERSION,
            .notice = [](const std::string& text) { spdlog::warn("broker: {}", text); }};
}

}  // namespace foz::cli
