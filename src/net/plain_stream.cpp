// The plain TCP stream: non-blocking calls first, the shard's poller only when they would block. No memory while idle.
#include "net/polled_stream.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

namespace foz::net {
namespace {

error_code last_error() {
    return {errno == EAGAIN ? EWOULDBLOCK : errno, boost::system::system_category()};
}

// A call that a signal has interrupted is made again.
template <class Call>
ssize_t uninterrupted(Call&& call) {
    ssize_t result;
    do result = call();
    while (result < 0 && errno == EINTR);
    return result;
}

class plain_stream final : public polled_stream {
public:
    plain_stream(shard& home, int descriptor, tcp::endpoint remote, stream_options options)
        : polled_stream(home, descriptor, std::move(remote), options) {}

private:
    void on_writable() override { writable({}); }

    void on_readable() override {
        if (wants_octets()) read();
    }

    void read() {
        const std::span<char> all = home().read_buffer();
        const std::span<char> buffer = all.first(std::min(all.size(), options().read_bytes_max));
        const ssize_t size = uninterrupted([&] { return ::recv(descriptor(), buffer.data(), buffer.size(), 0); });
        if (size > 0) return deliver(buffer.first(static_cast<std::size_t>(size)));
        if (size == 0) return fail(asio::error::eof);
        if (const error_code error = last_error(); error != asio::error::would_block) fail(error);
    }

    std::size_t write_some(std::span<const asio::const_buffer> buffers, error_code& error) override {
        const ssize_t size =
            uninterrupted([&] { return buffers.size() == 1 ? send_one(buffers[0]) : send_all(buffers); });
        if (size >= 0) return static_cast<std::size_t>(size);
        error = last_error();
        return 0;
    }

    // What is joined already, as it mostly is: cheaper for the kernel.
    ssize_t send_one(const asio::const_buffer& buffer) {
        return ::send(descriptor(), buffer.data(), buffer.size(), MSG_NOSIGNAL);
    }

    ssize_t send_all(std::span<const asio::const_buffer> buffers) {
        std::array<iovec, gather_max> parts;
        assert(buffers.size() <= parts.size());
        for (std::size_t i = 0; i < buffers.size(); ++i)
            parts[i] = {.iov_base = const_cast<void*>(buffers[i].data()), .iov_len = buffers[i].size()};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = buffers.size();
        return ::sendmsg(descriptor(), &message, MSG_NOSIGNAL);
    }

    void shutdown_output() override { ::shutdown(descriptor(), SHUT_WR); }

    std::optional<detached_stream> take_out() override {
        const int taken = release();
        if (taken < 0) return std::nullopt;
        return detached_stream(taken, nullptr, remote());
    }
};

// Each connection has one for as long as it lives, and is idle most of the time.
static_assert(sizeof(plain_stream) <= 272);

}  // namespace

std::shared_ptr<stream> stream::plain(shard& home, tcp::socket socket, stream_options options,
                                      std::optional<tcp::endpoint> from) {
    error_code ignored;
    tcp::endpoint remote = from ? *std::move(from) : socket.remote_endpoint(ignored);
    socket.non_blocking(true, ignored);
    socket.set_option(tcp::no_delay(true), ignored);
    // Asio waits for it no more.
    return std::make_shared<plain_stream>(home, socket.release(ignored), std::move(remote), options);
}

}  // namespace foz::net
