// What the front tells of those who are connected.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace foz::broker {

struct connection_info {
    std::string peer;    // address:port
    std::string name;    // as the client calls itself; may be empty
    std::string client;  // its product and version; may be empty
    std::string user;
    std::string vhost;
    std::size_t channels = 0;
    std::uint64_t received_bytes = 0;
    std::chrono::seconds heartbeat{0};
    bool blocked = false;  // a publisher that is not read from
};

struct consumer_info {
    std::string vhost;
    std::string queue;
    std::string tag;
    std::string peer;
    std::uint16_t channel = 0;
    std::uint16_t prefetch = 0;  // 0: no limit
    std::uint32_t unacknowledged = 0;
    bool no_ack = false;
    bool exclusive = false;
    int priority = 0;
};

}  // namespace foz::broker
