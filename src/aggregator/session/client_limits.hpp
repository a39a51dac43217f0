// What one client may use, over all its sockets on an aggregator.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace foz::aggregator {

// All of an aggregator's sockets of one client lie on one shard, so nothing here is shared between shards. The defaults
// are what pages with a chat, with voice signalling or with a tracker never come near.
struct client_limits {
    // A second; 0: there is no limit. Beyond the first two its sockets are read more slowly, beyond the third a message
    // is refused (rate_limited).
    std::uint32_t frames = 500;
    std::uint32_t octets = 1024 * 1024;
    std::uint32_t publishes = 100;
    // What it did not use is saved up for so long, and may come at once: what a service has to do then makes others
    // wait.
    std::chrono::milliseconds burst = std::chrono::seconds(2);
    // Whoever goes on beyond a rate for so long, without keeping still in between until all is saved up again, is
    // closed; 0: never.
    std::chrono::milliseconds patience = std::chrono::seconds(60);

    // At a time.
    std::size_t connections = 100;      // sockets; 0: there is no limit
    std::size_t requests = 1'000;       // that wait for an answer
    std::size_t subscriptions = 1'000;  // groups and topics of one socket, of all channels together
};

}  // namespace foz::aggregator
