// Outgoing connections: resolve, connect, and the TLS handshake when asked for.
#pragma once

#include "net/stream.hpp"
#include "net/tls.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace foz::net {

struct connect_options {
    std::string host;
    std::uint16_t port = 0;
    std::chrono::milliseconds timeout = std::chrono::seconds(5);  // to resolve, to connect and to shake hands, each
    // For each address of the host; what `timeout` says when there is none.
    std::optional<std::chrono::milliseconds> address_timeout{};
    std::size_t turn = 0;  // of the attempts in a row: each begins with another address
    std::optional<tls_client_options> tls;
    stream_options stream;
};

// Tries the addresses that the host resolves to, side by side (address_race.hpp). The error is one line: what was tried
// and why it failed. Runs on `home` and must be awaited there.
asio::awaitable<std::expected<std::shared_ptr<stream>, std::string>> connect(shard& home, connect_options options);

}  // namespace foz::net
