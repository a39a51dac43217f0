// Asks an admin port.
#pragma once

#include "net/shard.hpp"

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace foz::cli::top {

struct admin_address {
    std::string host;
    std::string port;

    std::string text() const;
};

// HOST:PORT, [::1]:9090. The error says what is expected.
std::expected<admin_address, std::string> parse_admin_address(std::string_view text);

// JSON as it came.
struct pages {
    std::string overview;
    std::optional<std::string> queues;  // none: no broker is inside
};

// One connection for both. A server that has collected nothing yet is asked again. The error is why, in a few words.
boost::asio::awaitable<std::expected<pages, std::string>> fetch(net::shard& home, const admin_address& from,
                                                                std::chrono::milliseconds within);

}  // namespace foz::cli::top
