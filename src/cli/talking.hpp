// What `foz pub`, `foz sub` and `foz request` do with a server.
#pragma once

#include "cli/primus_client.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::cli {

struct talk_options {
    server_address server{.host = "127.0.0.1", .port = 8080};
    std::string resume;
    bool insecure = false;
    std::optional<std::chrono::milliseconds> timeout;

    // pub, request
    std::string channel;
    std::string message;
    bool text = false;
    std::string type;
    std::string topic;
    std::string id;
    std::optional<std::chrono::milliseconds> expires;
    bool broadcast = false;
    std::vector<std::string> multicast;
    std::vector<std::string> direct;
    bool fail_fast = false;
    bool progress = false;

    // sub
    std::vector<std::string> channels;
    std::vector<std::string> topics;
    std::vector<std::string> groups;
    std::string from;                                // JSON
    std::optional<std::chrono::milliseconds> since;  // ago, instead of `from`
    std::uint64_t count = 0;                         // 0: no end
    bool raw = false;
};

// Each returns the exit code; what is for people goes to stderr.
boost::asio::awaitable<int> publish_messages(net::shard& home, talk_options& options);
boost::asio::awaitable<int> ask_service(net::shard& home, talk_options& options);
boost::asio::awaitable<int> hear_channels(net::shard& home, talk_options& options);

}  // namespace foz::cli
