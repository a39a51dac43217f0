// The plain TCP stream: non-blocking calls first, the reactor only when they would block. No memory while idle.
#include "net/stream.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/buffer.hpp>

namespace foz::net {
namespace {

class plain_stream final : public stream {
public:
    plain_stream(shard& home, tcp::socket socket, tcp::endpoint remote, stream_options options)
        : stream(home, std::move(remote), options), socket_(std::move(socket)) {}

private:
    void start_reading() override {
        if (std::exchange(read_pending_, true)) return;
        socket_.async_wait(tcp::socket::wait_read, [keep = self(), this](error_code error) {
            read_pending_ = false;
            home().note_awake();
            if (error) return fail(error);
            if (wants_octets()) read();
        });
    }

    void read() {
        error_code error;
        const std::span<char> all = home().read_buffer();
        const std::span<char> buffer = all.first(std::min(all.size(), options().read_bytes_max));
        const std::size_t size = socket_.read_some(asio::buffer(buffer.data(), buffer.size()), error);
        if (error && error != asio::error::would_block) return fail(error);
        if (size > 0) deliver(buffer.first(size));
        if (wants_octets()) start_reading();
    }

    std::size_t write_some(std::span<const asio::const_buffer> buffers, error_code& error) override {
        return socket_.write_some(buffers, error);
    }

    void wait_writable() override {
        socket_.async_wait(tcp::socket::wait_write, [keep = self(), this](error_code error) {
            home().note_awake();
            writable(error);
        });
    }

    void shutdown_output() override {
        error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
    }

    void close_socket() override {
        error_code ignored;
        socket_.close(ignored);
    }

    std::optional<detached_stream> take_out() override {
        error_code error;
        const int descriptor = socket_.release(error);
        if (error) return std::nullopt;
        return detached_stream(descriptor, nullptr, remote());
    }

    int descriptor() override { return socket_.native_handle(); }

    tcp::socket socket_;
    bool read_pending_ = false;
};

}  // namespace

std::shared_ptr<stream> stream::plain(shard& home, tcp::socket socket, stream_options options) {
    error_code ignored;
    tcp::endpoint remote = socket.remote_endpoint(ignored);
    socket.non_blocking(true, ignored);
    socket.set_option(tcp::no_delay(true), ignored);
    return std::make_shared<plain_stream>(home, std::move(socket), std::move(remote), options);
}

}  // namespace foz::net
