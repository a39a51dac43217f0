#include "websocket.hpp"

namespace foz::load {
namespace {

constexpr std::size_t short_max = 125;  // RFC 6455 §5.2: longer payloads have their length in 2 or 8 octets more
constexpr std::size_t medium_max = 0xffff;

void append_header(std::string& to, opcode kind, std::size_t size, unsigned mask_bit) {
    to += static_cast<char>(0x80U | static_cast<unsigned>(kind));
    if (size <= short_max) {
        to += static_cast<char>(mask_bit | size);
        return;
    }
    const bool medium = size <= medium_max;
    to += static_cast<char>(mask_bit | (medium ? 126U : 127U));
    for (int shift = medium ? 8 : 56; shift >= 0; shift -= 8) to += static_cast<char>(size >> shift & 0xffU);
}

}  // namespace

void append_frame(std::string& to, opcode kind, std::string_view payload) {
    append_header(to, kind, payload.size(), 0x80U);
    to.append(4, '\0');  // the mask
    to += payload;
}

void append_server_frame(std::string& to, opcode kind, std::string_view payload) {
    append_header(to, kind, payload.size(), 0);
    to += payload;
}

std::size_t server_header_size(std::size_t payload) {
    if (payload <= short_max) return 2;
    return payload <= medium_max ? 4 : 10;
}

}  // namespace foz::load
