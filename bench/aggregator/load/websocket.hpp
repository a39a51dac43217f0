// RFC 6455 frames as the load needs them: whole ones, not looked into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace foz::load {

enum class opcode : std::uint8_t { text = 1, close = 8, ping = 9, pong = 10 };

struct frame_view {
    opcode kind = opcode::text;
    std::string_view payload;
    std::size_t octets = 0;  // of the whole frame, its header included
};

// Appends a client's frame (RFC 6455 §5.2). Its mask is zero: the payload stays as it is, and the server has to unmask
// it all the same.
void append_frame(std::string& to, opcode kind, std::string_view payload);
// Appends a server's frame, which has no mask.
void append_server_frame(std::string& to, opcode kind, std::string_view payload);
// Octets of a server's frame before its payload.
std::size_t server_header_size(std::size_t payload);

// The frame that these octets begin with; nothing while it is not whole. A mask is taken to be zero.
inline std::optional<frame_view> first_frame(std::string_view octets) {
    if (octets.size() < 2) return std::nullopt;
    const auto at = [octets](std::size_t i) { return static_cast<std::uint8_t>(octets[i]); };
    std::size_t header = 2;
    std::uint64_t size = at(1) & 0x7fU;
    if (size >= 126) {
        const std::size_t length_octets = size == 126 ? 2 : 8;
        if (octets.size() < header + length_octets) return std::nullopt;
        size = 0;
        for (std::size_t i = 0; i < length_octets; ++i) size = size << 8U | at(header + i);
        header += length_octets;
    }
    if (at(1) & 0x80U) header += 4;
    if (octets.size() - header < size || octets.size() < header) return std::nullopt;
    return frame_view{static_cast<opcode>(at(0) & 0x0fU), octets.substr(header, size), header + size};
}

}  // namespace foz::load
