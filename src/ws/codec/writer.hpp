// Messages in, RFC 6455 frames out.
#pragma once

#include "ws/codec/close_code.hpp"
#include "ws/codec/opcode.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace foz::ws {

using mask_key = std::array<char, 4>;

// A server's frame: whole, not masked.
void append_frame(std::string& out, opcode op, std::string_view payload);
// Its header alone, for a payload of this size that is sent behind it.
void append_frame_header(std::string& out, opcode op, std::size_t payload_size);
// A client's frame. The key has to be unpredictable (RFC 6455 §5.3), so the caller draws it.
void append_masked_frame(std::string& out, opcode op, std::string_view payload, mask_key key);
// One fragment of a client's message.
void append_masked_fragment(std::string& out, opcode op, bool fin, std::string_view payload, mask_key key);

// A close frame's payload: the code and as much of the reason as fits, cut at a character; empty for codes that must
// not be sent.
std::string close_payload(close_code code, std::string_view reason);

}  // namespace foz::ws
