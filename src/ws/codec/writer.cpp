#include "ws/codec/writer.hpp"

namespace foz::ws {
namespace {

constexpr std::size_t reason_max = 123;  // 125 octets of a control frame less the code

void append_header(std::string& out, opcode op, bool fin, std::size_t size, bool masked) {
    out += static_cast<char>((fin ? 0x80 : 0) | static_cast<std::uint8_t>(op));
    const int mask_bit = masked ? 0x80 : 0;
    int extended = 0;
    if (size < 126) {
        out += static_cast<char>(mask_bit | static_cast<int>(size));
    } else if (size < 65536) {
        out += static_cast<char>(mask_bit | 126);
        extended = 2;
    } else {
        out += static_cast<char>(mask_bit | 127);
        extended = 8;
    }
    for (int shift = 8 * (extended - 1); shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
}

}  // namespace

void append_frame(std::string& out, opcode op, std::string_view payload) {
    append_frame_header(out, op, payload.size());
    out += payload;
}

void append_frame_header(std::string& out, opcode op, std::size_t payload_size) {
    append_header(out, op, true, payload_size, false);
}

void append_masked_frame(std::string& out, opcode op, std::string_view payload, mask_key key) {
    append_masked_fragment(out, op, true, payload, key);
}

void append_masked_fragment(std::string& out, opcode op, bool fin, std::string_view payload, mask_key key) {
    append_header(out, op, fin, payload.size(), true);
    out.append(key.data(), key.size());
    for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
}

std::string close_payload(close_code code, std::string_view reason) {
    const auto number = static_cast<std::uint16_t>(code);
    if (!allowed_on_wire(number)) return {};
    if (reason.size() > reason_max) {
        std::size_t end = reason_max;
        while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;
        reason = reason.substr(0, end);
    }
    std::string payload;
    payload += static_cast<char>(number >> 8);
    payload += static_cast<char>(number & 0xff);
    payload += reason;
    return payload;
}

}  // namespace foz::ws
