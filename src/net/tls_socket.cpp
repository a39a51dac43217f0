#include "net/tls_socket.hpp"

#include "net/poller.hpp"

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

// A handshake that is under way; the poller keeps it while it waits.
class server_handshake final : public std::enable_shared_from_this<server_handshake>, private pollable {
public:
    using done_function = std::move_only_function<void(error_code, tls_socket)>;

    server_handshake(shard& home, tcp::socket socket, asio::ssl::context& context, done_function done)
        : home_(home), socket_(std::move(socket), nullptr), context_(context), done_(std::move(done)) {}
    ~server_handshake() {
        if (const int gone = leave_poller(); gone >= 0) ::close(gone);
    }

    void start(std::chrono::milliseconds within) {
        error_code error;
        protocol_ = socket_.socket.local_endpoint(error).protocol();
        socket_.socket.non_blocking(true, error);
        descriptor_ = socket_.socket.release(error);
        if (error) return end_later(error);
        limit_.start(home_.wheel(), within);
        wait(EPOLLIN);
    }

private:
    void wait(std::uint32_t events) {
        if (std::exchange(awaited_, events) == events) return;
        const std::shared_ptr<pollable> keep(shared_from_this(), this);
        const std::error_code error = home_.sockets(lane::arriving).watch(place_, descriptor_, keep, events);
        if (error) end_later(error_code(error.value(), boost::system::system_category()));
    }

    void on_ready(std::uint32_t) override {
        if (!socket_.tls) {
            socket_.tls = new_state(descriptor_, context_);
            if (!socket_.tls) return end(asio::error::no_memory);
        }
        SSL* const tls = socket_.tls.get();
        ::ERR_clear_error();
        const int result = ::SSL_accept(tls);
        if (result == 1) return end({});
        error_code error;
        const tls_wish wish = judge_tls(tls, result, error);
        if (wish == tls_wish::none) return end(error);
        wait(wish == tls_wish::read ? EPOLLIN : EPOLLOUT);
    }

    void end(error_code error) {
        const auto keep = shared_from_this();  // the poller may be the last that has it
        limit_.cancel();
        auto done = std::exchange(done_, nullptr);
        if (!done) return;
        const int descriptor = leave_poller();
        error_code unfit;
        if (descriptor >= 0) socket_.socket.assign(protocol_, descriptor, unfit);
        if (unfit) ::close(descriptor);
        done(error ? error : unfit, std::move(socket_));
    }

    void end_later(error_code error) {
        home_.post([keep = shared_from_this(), this, error] { end(error); });
    }

    int leave_poller() noexcept {
        home_.sockets(lane::arriving).forget(place_, descriptor_);
        return std::exchange(descriptor_, -1);
    }

    shard& home_;
    tcp::socket::protocol_type protocol_ = tcp::v4();
    tls_socket socket_;  // without its descriptor, until the end
    asio::ssl::context& context_;
    done_function done_;
    int descriptor_ = -1;
    std::uint32_t awaited_ = 0;
    std::uint32_t place_ = poller::nowhere;
    wheel_timer limit_{this, [](server_handshake& self) { self.end(asio::error::timed_out); }};
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

void shake_hands(shard& home, tcp::socket socket, asio::ssl::context& context, std::chrono::milliseconds within,
                 std::move_only_function<void(error_code, tls_socket)> done) {
    std::make_shared<server_handshake>(home, std::move(socket), context, std::move(done))->start(within);
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
