#include "connection.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

#include <openssl/err.h>

namespace foz::load {
namespace {

constexpr timeval connect_patience{.tv_sec = 20, .tv_usec = 0};

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::generic_category().message(errno));
}

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    if (inet_pton(AF_INET, host.c_str(), &out.sin_addr) != 1) throw std::runtime_error(host + " isn't an IPv4 address");
    return out;
}

template <class T>
void set(int socket, int level, int name, const T& value) {
    if (setsockopt(socket, level, name, &value, sizeof(value)) != 0) fail("setsockopt");
}

void make_asynchronous(int socket) {
    set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    if (fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK) != 0) fail("fcntl");
}

SSL* client_tls(int socket) {
    static SSL_CTX* const context = [] {
        SSL_CTX* const made = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(
            made, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        return made;
    }();
    SSL* const made = SSL_new(context);
    SSL_set_fd(made, socket);
    SSL_set_connect_state(made);
    return made;
}

}  // namespace

connection::connection(int accepted) : socket_(accepted) {
    make_asynchronous(socket_);
}

connection::connection(const server_address& to, const std::string& source, bool tls) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) fail("socket");
    try {
        // The port is chosen by connect(), which knows the destination: 28,000 for each source address.
        set(socket_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        const sockaddr_in from = address_of(source, 0);
        if (::bind(socket_, reinterpret_cast<const sockaddr*>(&from), sizeof(from)) != 0) fail("bind to " + source);
        set(socket_, SOL_SOCKET, SO_SNDTIMEO, connect_patience);
        const sockaddr_in address = address_of(to.host, to.port);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fail("connect");
        make_asynchronous(socket_);
        if (tls) tls_.reset(client_tls(socket_));
    } catch (...) {
        close();
        throw;
    }
}

connection& connection::operator=(connection&& other) noexcept {
    if (this != &other) {
        close();
        socket_ = std::exchange(other.socket_, -1);
        tls_ = std::move(other.tls_);
        out_ = std::move(other.out_);
        partial_ = std::move(other.partial_);
    }
    return *this;
}

void connection::close() noexcept {
    tls_.reset();
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    out_ = {};
    partial_ = {};
}

void connection::send(std::string_view octets) {
    if (!out_.empty()) {
        out_ += octets;
        return;
    }
    while (!octets.empty()) {
        const ssize_t size = give(octets);
        if (size <= 0) break;  // it would block, or the peer has gone, which receive() tells
        octets.remove_prefix(static_cast<std::size_t>(size));
    }
    out_ = octets;
}

ssize_t connection::take(char* to, std::size_t size) {
    if (!tls_) return ::recv(socket_, to, size, 0);
    const int got = SSL_read(tls_.get(), to, static_cast<int>(size));
    if (got > 0) return got;
    const int why = SSL_get_error(tls_.get(), got);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        if (SSL_is_init_finished(tls_.get())) flush();  // what has waited for the handshake
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    return 0;
}

ssize_t connection::give(std::string_view octets) {
    if (!tls_) return ::send(socket_, octets.data(), octets.size(), MSG_NOSIGNAL);
    const int gone = SSL_write(tls_.get(), octets.data(), static_cast<int>(octets.size()));
    if (gone <= 0) ERR_clear_error();
    return gone;
}

void connection::flush() {
    if (out_.empty()) return;
    const std::string waiting = std::exchange(out_, {});
    send(waiting);
}

std::optional<std::string> connection::receive_head(std::span<char> buffer) {
    const ssize_t got = take(buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    if (got <= 0) return "";
    partial_.append(buffer.data(), static_cast<std::size_t>(got));
    const std::size_t end = partial_.find("\r\n\r\n");
    if (end == std::string::npos) return std::nullopt;
    std::string line = partial_.substr(0, partial_.find("\r\n"));
    partial_.erase(0, end + 4);
    return line;
}

std::uint64_t connection::segments_in() const {
    tcp_info info{};
    socklen_t size = sizeof(info);
    if (getsockopt(socket_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return info.tcpi_data_segs_in;
}

}  // namespace foz::load
