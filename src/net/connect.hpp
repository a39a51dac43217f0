// Outgoing connections: resolve, connect, and the TLS handshake when asked for.
#pragma once

#include "net/stream.hpp"
#include "net/tls.hpp"

#include <chrono>
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
    std::chrono::milliseconds timeout = std::chrono::seconds(5);  // for all steps together
    std::optional<tls_client_options> tls;
    stream_options stream;
};

// Tries each address that the host resolves to. The error is one line: what was tried and why it failed.
// Runs on `home` and must be awaited there.
asio::awaitable<std::expected<std::shared_ptr<stream>, std::string>> connect(shard& home, connect_options options);

}  // namespace foz::net
