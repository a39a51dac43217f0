#include "net/tls_socket.hpp"

#include <cerrno>
#include <cstdint>
#include <sys/socket.h>
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

// A handshake that is under way; its pending operation keeps it.
class server_handshake : public std::enable_shared_from_this<server_handshake> {
public:
    using done_function = std::move_only_function<void(error_code, tls_socket)>;

    server_handshake(tcp::socket socket, asio::ssl::context& context, done_function done)
        : socket_(std::move(socket), nullptr), context_(context), done_(std::move(done)) {}

    void start(shard& home, std::chrono::milliseconds within) {
        limit_.start(home.wheel(), within);
        wait(tcp::socket::wait_read);
    }

private:
    void wait(tcp::socket::wait_type what) {
        socket_.socket.async_wait(what,
                                  [keep = shared_from_this(), this](error_code error) { error ? end(error) : step(); });
    }

    void step() {
        if (!socket_.tls) {
            socket_ = tls_socket(std::move(socket_.socket), context_);
            if (!socket_.tls) return end(asio::error::no_memory);
        }
        SSL* const tls = socket_.tls.get();
        ::ERR_clear_error();
        const int result = ::SSL_accept(tls);
        if (result == 1) return end({});
        error_code error;
        const tls_wish wish = judge_tls(tls, result, error);
        if (wish == tls_wish::none) return end(error);
        wait(wish == tls_wish::read ? tcp::socket::wait_read : tcp::socket::wait_write);
    }

    void end(error_code error) {
        limit_.cancel();
        auto done = std::exchange(done_, nullptr);
        if (done) done(error, std::move(socket_));
    }

    void expire() {
        error_code ignored;
        socket_.socket.close(ignored);
    }

    tls_socket socket_;
    asio::ssl::context& context_;
    done_function done_;
    wheel_timer limit_{this, [](server_handshake& self) { self.expire(); }};
};

}  // namespace

tls_socket::tls_socket(tcp::socket from, asio::ssl::context& context)
    : socket(std::move(from)), tls(::SSL_new(context.native_handle())) {
    error_code ignored;
    socket.non_blocking(true, ignored);
    BIO* const bio = ::BIO_new(socket_method());
    if (!tls || !bio) {
        ::BIO_free(bio);
        tls.reset();
        return;
    }
    ::BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket.native_handle())));
    ::BIO_set_init(bio, 1);
    ::SSL_set_bio(tls.get(), bio, bio);
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

void shake_hands(shard& home, tcp::socket socket, asio::ssl::context& context, std::chrono::milliseconds within,
                 std::move_only_function<void(error_code, tls_socket)> done) {
    std::make_shared<server_handshake>(std::move(socket), context, std::move(done))->start(home, within);
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
