#include "net/tls_socket.hpp"

#include "net/proxy_protocol.hpp"
#include "net/server_handshake.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/bio.h>
#include <openssl/err.h>

namespace foz::net {
namespace {

// OpenSSL's own socket BIO writes with write(), which kills a process that does not ignore SIGPIPE.
int descriptor_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(::BIO_get_data(bio)));
}

bool would_block(ssize_t result) {
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

int bio_read(BIO* bio, char* to, int size) {
    BIO_clear_retry_flags(bio);
    errno = 0;
    const ssize_t result = ::recv(descriptor_of(bio), to, static_cast<std::size_t>(size), 0);
    if (would_block(result)) BIO_set_retry_read(bio);
    return static_cast<int>(result);
}

int bio_write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t result = ::send(descriptor_of(bio), from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (would_block(result)) BIO_set_retry_write(bio);
    return static_cast<int>(result);
}

long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* socket_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* const made = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
        ::BIO_meth_set_read(made, bio_read);
        ::BIO_meth_set_write(made, bio_write);
        ::BIO_meth_set_ctrl(made, bio_control);
        return made;
    }();
    return method;
}

// On this descriptor. Null when OpenSSL has no memory.
ssl_ptr new_state(int descriptor, asio::ssl::context& context) {
    ssl_ptr made(::SSL_new(context.native_handle()));
    BIO* const bio = ::BIO_new(socket_method());
    if (!made || !bio) {
        ::BIO_free(bio);
        return nullptr;
    }
    ::BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
    ::BIO_set_init(bio, 1);
    ::SSL_set_bio(made.get(), bio, bio);
    return made;
}

// A server's handshake that is under way.
class server_handshake final : public awaited_socket {
public:
    using done_function = std::move_only_function<void(error_code, tls_socket)>;

    server_handshake(shard& home, tcp::socket socket, std::shared_ptr<asio::ssl::context> context, done_function done)
        : awaited_socket(home, std::move(socket)), context_(std::move(context)), done_(std::move(done)) {}

private:
    void on_awaited() override {
        if (!tls_) {
            if (comes_from_a_proxy()) return end(proxy_error::unexpected);
            tls_ = new_state(descriptor(), *context_);
            if (!tls_) return end(asio::error::no_memory);
        }
        ::ERR_clear_error();
        const int result = ::SSL_accept(tls_.get());
        if (result == 1) return end({});
        error_code error;
        const tls_wish wish = judge_tls(tls_.get(), result, error);
        if (wish == tls_wish::none) return end(error);
        wait(wish == tls_wish::read ? EPOLLIN : EPOLLOUT);
    }

    // OpenSSL would say no more than that it is no TLS.
    bool comes_from_a_proxy() const {
        std::array<char, 16> first;
        const ssize_t size = ::recv(descriptor(), first.data(), first.size(), MSG_PEEK);
        return size > 0 && begins_with_proxy_head({first.data(), static_cast<std::size_t>(size)});
    }

    void on_end(error_code error, tcp::socket socket) override {
        auto done = std::exchange(done_, nullptr);
        done(error, tls_socket(std::move(socket), tls_.release()));
    }

    const std::shared_ptr<asio::ssl::context> context_;
    ssl_ptr tls_;
    done_function done_;
};

}  // namespace

tls_socket::tls_socket(tcp::socket from, asio::ssl::context& context)
    : socket(std::move(from)), tls(new_state(socket.native_handle(), context)) {
    error_code ignored;
    socket.non_blocking(true, ignored);
}

tls_wish judge_tls(SSL* tls, int result, error_code& error) {
    const int system = errno;
    const unsigned long queued = ::ERR_peek_error();  // SSL_get_error() looks there too
    const int kind = ::SSL_get_error(tls, result);
    ::ERR_clear_error();
    switch (kind) {
        case SSL_ERROR_WANT_READ:
            return tls_wish::read;
        case SSL_ERROR_WANT_WRITE:
            return tls_wish::write;
        case SSL_ERROR_SSL:
            if (queued == 0 || ERR_GET_REASON(queued) == SSL_R_UNEXPECTED_EOF_WHILE_READING) break;
            error = error_code(static_cast<int>(queued), asio::error::get_ssl_category());
            return tls_wish::none;
        case SSL_ERROR_SYSCALL:
            if (result == 0 || system == 0) break;
            error = error_code(system, asio::error::get_system_category());
            return tls_wish::none;
        default:
            break;
    }
    error = asio::error::eof;
    return tls_wish::none;
}

std::weak_ptr<awaited_socket> begin_handshake(shard& home, tcp::socket socket,
                                              std::shared_ptr<asio::ssl::context> context,
                                              std::chrono::milliseconds within,
                                              std::move_only_function<void(error_code, tls_socket)> done) {
    const auto begun = std::make_shared<server_handshake>(home, std::move(socket), std::move(context), std::move(done));
    begun->start(within);
    return begun;
}

void shake_hands(shard& home, tcp::socket socket, std::shared_ptr<asio::ssl::context> context,
                 std::chrono::milliseconds within, std::move_only_function<void(error_code, tls_socket)> done) {
    begin_handshake(home, std::move(socket), std::move(context), within, std::move(done));
}

asio::awaitable<error_code> shake_hands(tls_socket& socket) {
    if (!socket.tls) co_return asio::error::no_memory;
    for (;;) {
        ::ERR_clear_error();
        const int result = ::SSL_connect(socket.tls.get());
        if (result == 1) co_return error_code();
        error_code error;
        const tls_wish wish = judge_tls(socket.tls.get(), result, error);
        if (wish == tls_wish::none) co_return error;
        const auto what = wish == tls_wish::read ? tcp::socket::wait_read : tcp::socket::wait_write;
        auto [failed] = co_await socket.socket.async_wait(what, asio::as_tuple(asio::use_awaitable));
        if (failed) co_return failed;
    }
}

}  // namespace foz::net
