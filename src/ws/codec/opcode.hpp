#pragma once

#include <cstdint>

namespace foz::ws {

// RFC 6455 §11.8.
enum class opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

constexpr bool is_control(opcode op) noexcept {
    return static_cast<std::uint8_t>(op) >= 8;
}

// Which end we are. RFC 6455 §5.1: clients mask what they send, servers must not.
enum class role : std::uint8_t { server, client };

}  // namespace foz::ws
