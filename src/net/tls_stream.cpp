// The TLS stream: OpenSSL on the non-blocking socket, with the shard's scratch buffers in between. While idle it keeps
// OpenSSL's state and no buffer.
#include "net/polled_stream.hpp"
#include "net/tls_socket.hpp"

#include <algorithm>
#include <cstring>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <openssl/err.h>

namespace foz::net {
namespace {

// The largest TLS record's plain text (RFC 8446 §5.1): more in one SSL_write saves nothing.
constexpr std::size_t record_bytes = 16 * 1024;

class tls_stream final : public polled_stream {
public:
    tls_stream(shard& home, int descriptor, ssl_ptr from, tcp::endpoint remote, stream_options options)
        : polled_stream(home, descriptor, std::move(remote), options), tls_(std::move(from)) {}

    std::optional<std::string> certified_as(peer_name kind) const override { return verified_name(tls(), kind); }

private:
    SSL* tls() const noexcept { return tls_.get(); }

    void start_reading() override {
        // What OpenSSL has already makes no socket readable. The handler is never called from resume_reading() itself.
        if ((late_error_ || ::SSL_pending(tls()) > 0) && !std::exchange(read_posted_, true))
            asio::post(home().context(), [keep = self(), this] {
                read_posted_ = false;
                home().note_awake();
                if (!closed() && wants_octets()) read();
            });
        polled_stream::start_reading();
    }

    // What one direction waits for may be the other one's: a key update (RFC 8446 §4.6.3), or a renegotiation.
    bool write_waits_for(tls_wish what) const noexcept { return write_waits_ && write_wish_ == what; }
    bool waits_for_octets() const noexcept override { return wants_octets() || write_waits_for(tls_wish::read); }

    void on_readable() override {
        if (write_waits_for(tls_wish::read)) write_again();
        if (!closed() && wants_octets()) read();
    }

    void on_writable() override {
        if (write_waits_for(tls_wish::write)) write_again();
        if (std::exchange(read_waits_, false) && !closed() && wants_octets()) read();
    }

    void write_again() {
        write_waits_ = false;
        writable({});
    }

    void wait_writable() override {
        write_waits_ = true;
        if (write_wish_ != tls_wish::read) return polled_stream::wait_writable();
        polled_stream::start_reading();
    }

    void read() {
        const std::span<char> buffer = home().read_buffer();
        const std::size_t most = std::min(buffer.size(), options().read_bytes_max);
        std::size_t size = 0;
        error_code error;
        tls_wish wish = tls_wish::none;
        // A record at a time, until the socket is empty or the others have their turn.
        while (size < most) {
            ::ERR_clear_error();
            const int result = ::SSL_read(tls(), buffer.data() + size, static_cast<int>(most - size));
            if (result > 0) {
                size += static_cast<std::size_t>(result);
                continue;
            }
            wish = judge_tls(tls(), result, error);
            break;
        }
        if (size > 0) deliver(buffer.first(size));
        if (closed()) return;
        if (error) return wants_octets() ? fail(error) : void(late_error_ = true);
        if (!wants_octets()) return;
        if (wish == tls_wish::write) {
            read_waits_ = true;
            return polled_stream::wait_writable();
        }
        start_reading();
    }

    std::size_t write_some(std::span<const asio::const_buffer> buffers, error_code& error) override {
        const auto* data = static_cast<const char*>(buffers.front().data());
        std::size_t size = std::min(buffers.front().size(), record_bytes);
        if (size < record_bytes && buffers.size() > 1) {
            const std::span<char> joined = home().write_buffer().first(record_bytes);
            size = 0;
            for (const auto& buffer : buffers) {
                const std::size_t piece = std::min(buffer.size(), record_bytes - size);
                std::memcpy(joined.data() + size, buffer.data(), piece);
                if ((size += piece) == record_bytes) break;
            }
            data = joined.data();
        }
        // A write that would block is tried again with the same octets at its beginning: the queue has not changed.
        ::ERR_clear_error();
        const int result = ::SSL_write(tls(), data, static_cast<int>(size));
        if (result > 0) return static_cast<std::size_t>(result);
        write_wish_ = judge_tls(tls(), result, error);
        if (write_wish_ != tls_wish::none) error = asio::error::would_block;
        return 0;
    }

    void shutdown_output() override {
        ::ERR_clear_error();
        ::SSL_shutdown(tls());  // close_notify (RFC 8446 §6.1), as far as the socket takes it
        ::shutdown(descriptor(), SHUT_WR);
    }

    std::optional<detached_stream> take_out() override {
        // A record that has been written only in part, or has not arrived whole, must be finished by who began it.
        if (would_block()) return std::nullopt;
        std::string unread;
        error_code error;
        const std::span<char> piece = home().write_buffer();
        for (tls_wish wish = tls_wish::none; wish == tls_wish::none && !error;) {
            ::ERR_clear_error();
            const int result = ::SSL_read(tls(), piece.data(), static_cast<int>(piece.size()));
            if (result > 0)
                unread.append(piece.data(), static_cast<std::size_t>(result));
            else
                wish = judge_tls(tls(), result, error);
        }
        if (error || ::SSL_has_pending(tls())) return std::nullopt;
        const int left = release();
        if (left < 0) return std::nullopt;
        std::optional<detached_stream> taken(std::in_place, left, tls_.release(), remote());
        taken->unread = std::move(unread);
        return taken;
    }

    ssl_ptr tls_;
    tls_wish write_wish_ = tls_wish::none;  // of the last write
    bool write_waits_ = false;              // for that, or for the socket
    bool read_waits_ = false;               // until the socket takes octets
    bool read_posted_ = false;
    bool late_error_ = false;  // came while reading was paused; OpenSSL tells it again
};

}  // namespace

std::shared_ptr<stream> stream::tls(shard& home, tls_socket socket, stream_options options,
                                    std::optional<tcp::endpoint> from) {
    error_code ignored;
    tcp::endpoint remote = from ? *std::move(from) : socket.socket.remote_endpoint(ignored);
    socket.socket.non_blocking(true, ignored);
    socket.socket.set_option(tcp::no_delay(true), ignored);
    const int descriptor = socket.socket.release(ignored);  // Asio waits for it no more
    return std::make_shared<tls_stream>(home, descriptor, std::move(socket.tls), std::move(remote), options);
}

}  // namespace foz::net
