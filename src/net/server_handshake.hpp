// A server's TLS handshake that can be given up before its time is over.
#pragma once

#include "net/awaited_socket.hpp"
#include "net/tls_socket.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace foz::net {

// As shake_hands(). What comes back is there until the end.
std::weak_ptr<awaited_socket> begin_handshake(shard& home, tcp::socket socket,
                                              std::shared_ptr<asio::ssl::context> context,
                                              std::chrono::milliseconds within,
                                              std::move_only_function<void(error_code, tls_socket)> done);

}  // namespace foz::net
