// The broker as a part of a process: model, storage and door on one shard.
#pragma once

#include "broker/snapshot.hpp"
#include "net/shard.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace foz::broker {

struct embedded_options {
    std::string data;  // a folder, made when it is not there
    std::string address = "127.0.0.1";
    std::uint16_t port = 5672;  // 0: the kernel chooses
    std::vector<std::string> vhosts{"/"};
    std::string version;
    // What whoever runs it should know, one line each. Called on the shard.
    std::function<void(const std::string&)> notice;
};

// Lives on the shard that it is given. When its data can't be read any more, a std::runtime_error with one line leaves
// the shard's loop. Nobody but clients on this machine gets in unless users say otherwise: the only
// one is guest, as RabbitMQ has it.
class embedded {
public:
    // Recovers what the folder holds, then listens. Throws std::runtime_error with one line.
    embedded(net::shard& home, embedded_options options);
    // On the shard's thread or after it has stopped. What was confirmed is on disk.
    ~embedded();

    std::uint16_t port() const noexcept;
    // Tells the clients; they are gone within two seconds.
    void shut_down();
    std::size_t connections() const noexcept;
    snapshot look() const;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

}  // namespace foz::broker
