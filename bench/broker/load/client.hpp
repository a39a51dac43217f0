// A blocking AMQP client for what comes before a load: it logs in, declares, subscribes. Then the load takes its
// socket.
#pragma once

#include "amqp/codec/methods.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace foz::bench {

struct endpoint {
    std::string address = "127.0.0.1";
    std::uint16_t port = 5672;
};

// Has one channel, number 1. Everything throws std::runtime_error when the server does not do as it is told.
class client {
public:
    static constexpr std::uint16_t channel = 1;

    explicit client(const endpoint& server);
    ~client();
    client(client&& other) noexcept : socket_(std::exchange(other.socket_, -1)), frame_max_(other.frame_max_) {}
    client& operator=(client&&) = delete;

    // Sends the method and returns the next one that comes. It reads no octet behind that method's frame.
    amqp::method call(const amqp::method& m);
    template <class Answer>
    Answer call_for(const amqp::method& m) {
        return expect<Answer>(call(m));
    }

    // Answers a method with content too; the content is read and dropped.
    amqp::method receive();
    void send(const std::string& octets) const;

    int socket() const noexcept { return socket_; }
    std::uint32_t frame_max() const noexcept { return frame_max_; }

private:
    template <class Answer>
    Answer expect(const amqp::method& got) {
        if (const auto* const answer = std::get_if<Answer>(&got)) return *answer;
        refused(got);
    }
    [[noreturn]] void refused(const amqp::method& got);
    void send(std::uint16_t number, const amqp::method& m) const;
    std::string read_exactly(std::size_t size) const;
    void log_in();

    int socket_ = -1;
    std::uint32_t frame_max_ = 0;
};

}  // namespace foz::bench
