// The addresses of one host, tried side by side (RFC 8305): the first one that answers is taken.
#pragma once

#include "net/shard.hpp"
#include "net/tls_socket.hpp"

#include <chrono>
#include <cstddef>
#include <expected>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::net {

struct race_options {
    std::chrono::milliseconds stagger{250};  // until the next address is tried, too (RFC 8305 §5's recommendation)
    std::chrono::milliseconds each{5'000};   // an address's own time, from when it is first tried
};

// The families in turn, beginning with the first address's (RFC 8305 §4), so that a network that carries only one of
// them costs one stagger. `turn` rotates the result: an address that accepts connections and then says nothing is not
// the first one again.
std::vector<tcp::endpoint> in_racing_order(const std::vector<tcp::endpoint>& resolved, std::size_t turn);

// Connects to one of the addresses, in their order: the next one is tried when the stagger is over or the one before
// has failed, and none waits for another's time to be over. The error is the last one of an address; timed_out when it
// has used up its time. Runs on `home` and must be awaited there.
asio::awaitable<std::expected<tcp::socket, error_code>> race(shard& home, std::vector<tcp::endpoint> addresses,
                                                             race_options options);

}  // namespace foz::net
