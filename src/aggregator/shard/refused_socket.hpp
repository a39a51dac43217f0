// A WebSocket that is opened only to say why it is refused.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "ws/codec/close_code.hpp"
#include "ws/conn/connection.hpp"

#include <cstdint>
#include <memory>

namespace foz::aggregator {

enum class come_back : std::uint8_t { never, later };

// Says the error, and primus::server::close when the client is to stay away, and closes. What the client sends is not
// looked at. There is no session.
std::unique_ptr<ws::socket_handler> make_refused_socket(const client_error& why, ws::close_code code, come_back when);

}  // namespace foz::aggregator
