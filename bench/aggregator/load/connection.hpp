// One TCP socket, not blocking, with what it has not taken yet; with TLS if that is wanted.
#pragma once

#include "websocket.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>

#include <openssl/ssl.h>

namespace foz::load {

struct server_address {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
};

class connection {
public:
    connection() = default;
    explicit connection(int accepted);
    // From this source address; throws std::runtime_error. With TLS the handshake follows with what is sent and read;
    // no certificate is verified.
    connection(const server_address& to, const std::string& source, bool tls = false);
    connection(connection&& other) noexcept
        : socket_(std::exchange(other.socket_, -1)),
          tls_(std::move(other.tls_)),
          out_(std::move(other.out_)),
          partial_(std::move(other.partial_)) {}
    connection& operator=(connection&& other) noexcept;
    ~connection() { close(); }

    int socket() const noexcept { return socket_; }
    bool open() const noexcept { return socket_ >= 0; }
    void close() noexcept;

    // What the socket does not take is kept, and sent by flush().
    void send(std::string_view octets);
    void flush();
    std::size_t unsent() const noexcept { return out_.size(); }

    // Reads what there is into `buffer`, which has to hold the largest frame; `visit(frame_view)` gets every whole
    // frame and must not close this connection. False when the peer has gone.
    template <class Visit>
    bool receive(std::span<char> buffer, const Visit& visit);

    // Before the first frame: reads an HTTP head. Nothing while it is not whole; the first line otherwise, empty when
    // the peer has gone. Frames that came with it are kept for visit_kept().
    std::optional<std::string> receive_head(std::span<char> buffer);
    template <class Visit>
    void visit_kept(const Visit& visit) {
        const std::string kept = std::exchange(partial_, {});
        partial_ = walk(kept, visit);
    }

    // Segments with data that have arrived. On loopback a write of up to 64 KB is one of them.
    std::uint64_t segments_in() const;

private:
    template <class Visit>
    static std::string_view walk(std::string_view octets, const Visit& visit) {
        while (const auto frame = first_frame(octets)) {
            visit(*frame);
            octets.remove_prefix(frame->octets);
        }
        return octets;
    }

    // As recv() and send() do, errno included.
    ssize_t take(char* to, std::size_t size);
    ssize_t give(std::string_view octets);

    struct free_tls {
        void operator()(SSL* what) const noexcept { SSL_free(what); }
    };

    int socket_ = -1;
    std::unique_ptr<SSL, free_tls> tls_;
    std::string out_;
    std::string partial_;  // the beginning of a frame
};

template <class Visit>
bool connection::receive(std::span<char> buffer, const Visit& visit) {
    for (;;) {
        const std::size_t kept = partial_.size();
        std::memcpy(buffer.data(), partial_.data(), kept);
        const ssize_t got = take(buffer.data() + kept, buffer.size() - kept);
        if (got == 0) return false;
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        const std::size_t size = kept + static_cast<std::size_t>(got);
        partial_ = walk({buffer.data(), size}, visit);
        if (!tls_ && size < buffer.size()) return true;  // TLS comes a record at a time
    }
}

}  // namespace foz::load
