// A TCP socket with TLS on it. OpenSSL reads and writes the socket itself: no buffer of ours lies between.
#pragma once

#include "net/shard.hpp"

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>

namespace foz::net {

using boost::system::error_code;
using tcp = asio::ip::tcp;

// What OpenSSL says to an operation that did not succeed.
enum class tls_wish { none, read, write };

struct ssl_free {
    void operator()(SSL* tls) const noexcept { ::SSL_free(tls); }
};
using ssl_ptr = std::unique_ptr<SSL, ssl_free>;

// Moves as a whole. The socket is non-blocking.
struct tls_socket {
    // Before the handshake. Null `tls` when OpenSSL has no memory.
    tls_socket(tcp::socket from, asio::ssl::context& context);
    // After it, for example on another shard: OpenSSL's state as it was taken from a tls_socket with this descriptor.
    tls_socket(tcp::socket from, SSL* state) : socket(std::move(from)), tls(state) {}

    tcp::socket socket;
    ssl_ptr tls;
};

// After an OpenSSL call on this connection returned `result` <= 0: what it waits for, or the error; a peer that closes
// TCP without close_notify has closed all the same (asio::error::eof).
tls_wish judge_tls(SSL* tls, int result, error_code& error);

// A server's side of the handshake. Until the first octets come nothing but the socket is kept. Calls `done` once, on
// the shard, never from inside: with the reason when it failed or took longer than `within`.
void shake_hands(shard& home, tcp::socket socket, std::shared_ptr<asio::ssl::context> context,
                 std::chrono::milliseconds within, std::move_only_function<void(error_code, tls_socket)> done);

// A client's side. Ends early, with an error, when the socket is closed.
asio::awaitable<error_code> shake_hands(tls_socket& socket);

}  // namespace foz::net
