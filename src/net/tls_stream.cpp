// The TLS stream. OpenSSL needs its own buffers, so reads and writes go through Asio's ssl::stream.
#include "net/stream.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

namespace foz::net {
namespace {

// The largest TLS record's plain text (RFC 8446 §5.1): more in one SSL_write saves nothing.
constexpr std::size_t record_bytes = 16 * 1024;

class tls_stream final : public stream {
public:
    tls_stream(shard& home, asio::ssl::stream<tcp::socket> socket, tcp::endpoint remote, stream_options options)
        : stream(home, std::move(remote), options), socket_(std::move(socket)) {}

private:
    void start_reading() override {
        if (std::exchange(read_pending_, true)) return;
        if (received_ > 0)  // arrived while paused; the handler is never called from resume_reading() itself
            return asio::post(home().context(), [keep = self(), this] {
                read_pending_ = false;
                take_received();
            });
        socket_.async_read_some(asio::buffer(input_), [keep = self(), this](error_code error, std::size_t size) {
            read_pending_ = false;
            if (closed()) return;
            // A peer that closes TCP without close_notify has closed all the same.
            if (error == asio::ssl::error::stream_truncated) error = asio::error::eof;
            if (error) return fail(error);
            received_ = size;
            take_received();
        });
    }

    void take_received() {
        // Reading may have been paused while the octets were under way: they wait for resume_reading().
        if (!wants_octets()) return;
        if (const std::size_t size = std::exchange(received_, 0); size > 0) deliver(std::span(input_).first(size));
        if (wants_octets()) start_reading();
    }

    // Asio's TLS can't write without waiting: what is under way counts as not taken.
    std::size_t write_some(std::span<const asio::const_buffer> buffers, error_code& error) override {
        error = asio::error::would_block;
        if (std::exchange(writing_, true)) return 0;
        output_.clear();
        for (const auto& buffer : buffers) {
            const std::size_t room = record_bytes - output_.size();
            const auto* const data = static_cast<const char*>(buffer.data());
            output_.insert(output_.end(), data, data + std::min(room, buffer.size()));
            if (output_.size() == record_bytes) break;
        }
        asio::async_write(socket_, asio::buffer(output_), [keep = self(), this](error_code failed, std::size_t size) {
            writing_ = false;
            if (closed()) return;
            if (!failed) written(size);
            writable(failed);
        });
        return 0;
    }

    void wait_writable() override {}

    void shutdown_output() override {
        error_code ignored;
        socket_.lowest_layer().shutdown(tcp::socket::shutdown_send, ignored);
    }

    void close_socket() override {
        error_code ignored;
        socket_.lowest_layer().close(ignored);
    }

    std::optional<detached_stream> take_out() override {
        if (writing_) return std::nullopt;
        std::string unread;
        error_code error;
        socket_.next_layer().non_blocking(true, error);
        while (!error) {
            const std::size_t size = socket_.read_some(asio::buffer(input_), error);
            unread.append(input_.data(), size);
        }
        // A record that has not arrived whole would stay behind in Asio's buffers.
        SSL* const tls = socket_.native_handle();
        if (error != asio::error::would_block || ::SSL_has_pending(tls) || BIO_pending(::SSL_get_rbio(tls)) > 0)
            return std::nullopt;
        const int descriptor = socket_.next_layer().release(error);
        if (error) return std::nullopt;
        ::SSL_up_ref(tls);
        // Asio's part is gone before another thread can touch OpenSSL's.
        {
            const auto emptied = std::move(socket_);
        }
        std::optional<detached_stream> taken(std::in_place, descriptor, tls, remote());
        taken->unread = std::move(unread);
        return taken;
    }

    asio::ssl::stream<tcp::socket> socket_;
    std::array<char, record_bytes> input_;
    std::vector<char> output_;
    std::size_t received_ = 0;
    bool read_pending_ = false;
    bool writing_ = false;
};

}  // namespace

std::shared_ptr<stream> stream::tls(shard& home, asio::ssl::stream<tcp::socket> socket, stream_options options) {
    error_code ignored;
    tcp::endpoint remote = socket.lowest_layer().remote_endpoint(ignored);
    socket.lowest_layer().set_option(tcp::no_delay(true), ignored);
    return std::make_shared<tls_stream>(home, std::move(socket), std::move(remote), options);
}

}  // namespace foz::net
