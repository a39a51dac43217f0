// Asks an admin port what foz top shows.
#pragma once

#include "cli/admin_client.hpp"

#include <chrono>
#include <expected>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace foz::cli::top {

// JSON as it came.
struct pages {
    std::string overview;
    std::optional<std::string> queues;  // none: no broker is inside
};

// One connection for both. A server that has collected nothing yet is asked again. The error is why, in a few words.
boost::asio::awaitable<std::expected<pages, std::string>> fetch(net::shard& home, const admin_access& from,
                                                                std::chrono::milliseconds within);

}  // namespace foz::cli::top
