// The two ends of the load. Each owns a connection whose set-up is done; nothing here blocks.
#pragma once

#include "client.hpp"
#include "inbox.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace foz::bench {

// Writes one encoded message again and again, many to a system call.
class publisher {
public:
    // `message`: its frames.
    publisher(client connection, const std::string& message);

    int socket() const noexcept { return connection_.socket(); }
    // Writes at most so many messages; those that are begun are finished first. Returns how many were completed.
    std::uint64_t pump(std::uint64_t messages);
    void receive();

    // The kernel took all that it was given.
    bool writable = true;
    std::uint64_t published() const noexcept { return sent_ / message_size_; }
    std::uint64_t unconfirmed() const noexcept { return published() - settled_; }
    std::uint64_t confirmed() const noexcept { return settled_ - refused_; }
    std::uint64_t refused() const noexcept { return refused_; }

private:
    void settle(std::uint64_t tag, bool multiple, bool ack);

    client connection_;
    const std::size_t message_size_;
    std::string batch_;
    std::uint64_t sent_ = 0;  // octets
    inbox inbox_;
    // Confirms may come in any order: what is settled from settled_below_ on.
    std::vector<bool> seen_ = std::vector<bool>(1 << 16);
    std::uint64_t settled_below_ = 1;
    std::uint64_t settled_ = 0;
    std::uint64_t refused_ = 0;
};

class consumer {
public:
    consumer(client connection, std::uint32_t ack_every) : connection_(std::move(connection)), ack_every_(ack_every) {}

    int socket() const noexcept { return connection_.socket(); }
    void receive();
    std::uint64_t delivered() const noexcept { return delivered_; }
    // Acknowledges what is left.
    void finish();

private:
    void acknowledge();

    client connection_;
    const std::uint32_t ack_every_;  // 0: never
    inbox inbox_;
    std::uint64_t delivered_ = 0;  // on a channel of its own this is the delivery tag too
    std::uint64_t acknowledged_ = 0;
};

}  // namespace foz::bench
