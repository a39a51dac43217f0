// The plain TCP stream: non-blocking calls first, the reactor only when they would block. No memory while idle.
#include "net/stream.hpp"

#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>

namespace foz::net {
namespace {

constexpr std::size_t buffers_per_write = 64;  // Asio gathers at most 64 into one sendmsg()

class plain_stream final : public stream {
public:
    plain_stream(shard& home, tcp::socket socket, tcp::endpoint remote, stream_options options)
        : stream(home, std::move(remote), options), socket_(std::move(socket)) {}

private:
    void start_reading() override {
        if (std::exchange(read_pending_, true)) return;
        socket_.async_wait(tcp::socket::wait_read, [keep = self(), this](error_code error) {
            read_pending_ = false;
            if (error) return fail(error);
            if (wants_octets()) read();
        });
    }

    void read() {
        error_code error;
        const std::span<char> buffer = home().read_buffer();
        const std::size_t size = socket_.read_some(asio::buffer(buffer.data(), buffer.size()), error);
        if (error && error != asio::error::would_block) return fail(error);
        if (size > 0) deliver(buffer.first(size));
        if (wants_octets()) start_reading();
    }

    void start_writing() override {
        std::array<asio::const_buffer, buffers_per_write> buffers;
        while (!closed() && has_queued()) {
            const std::size_t used = gather(buffers);
            error_code error;
            const std::size_t size = socket_.write_some(std::span(buffers).first(used), error);
            if (error == asio::error::would_block) return wait_until_writable();
            if (error) return fail(error);
            written(size);
        }
        write_ended();
    }

    void wait_until_writable() {
        socket_.async_wait(tcp::socket::wait_write, [keep = self(), this](error_code error) {
            if (closed()) return;
            if (error) return fail(error);
            start_writing();
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
