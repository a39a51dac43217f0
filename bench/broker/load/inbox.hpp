// What a socket has sent: reads it and shows the methods in it. Bodies are copied from the kernel, as any client has
// to, and then passed over.
#pragma once

#include "amqp/codec/frame_parser.hpp"
#include "amqp/codec/wire.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <vector>

namespace foz::bench {

class inbox {
public:
    // One read of what there is; `each` gets the payload of every method frame that is whole.
    template <class Each>
    void receive(int socket, const Each& each) {
        const ssize_t got = ::recv(socket, buffer_.data() + size_, buffer_.size() - size_, MSG_DONTWAIT);
        if (got == 0) throw std::runtime_error("the server closed the connection");
        if (got < 0 && errno != EAGAIN) throw std::runtime_error("the connection broke");
        if (got <= 0) return;
        size_ += static_cast<std::size_t>(got);
        std::string_view rest(buffer_.data(), size_);
        constexpr std::size_t prefix_size = 7;
        while (rest.size() >= prefix_size) {
            const std::size_t payload = amqp::load_big_endian<std::uint32_t>(rest.data() + 3);
            if (rest.size() < payload + amqp::frame_overhead) break;
            if (rest.front() == static_cast<char>(amqp::frame_type::method)) each(rest.substr(prefix_size, payload));
            rest.remove_prefix(payload + amqp::frame_overhead);
        }
        std::memmove(buffer_.data(), rest.data(), rest.size());
        size_ = rest.size();
    }

private:
    std::vector<char> buffer_ = std::vector<char>(512 << 10);  // more than any frame
    std::size_t size_ = 0;
};

}  // namespace foz::bench
