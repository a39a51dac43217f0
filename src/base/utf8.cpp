#include "base/utf8.hpp"

#include <cstring>

namespace foz {

bool utf8_validator::feed(std::string_view piece) noexcept {
    if (failed_) return false;
    const char* p = piece.data();
    const char* const end = p + piece.size();
    while (p != end) {
        if (needed_ == 0) {
            // ASCII, eight octets at a time.
            while (end - p >= 8) {
                std::uint64_t word = 0;
                std::memcpy(&word, p, 8);
                if (word & 0x8080808080808080ull) break;
                p += 8;
            }
            if (p == end) break;
        }
        const auto octet = static_cast<std::uint8_t>(*p++);
        if (needed_ > 0) {
            if (octet < lowest_ || octet > highest_) return !(failed_ = true);
            --needed_;
            lowest_ = 0x80;
            highest_ = 0xbf;
            continue;
        }
        if (octet < 0x80) continue;
        // RFC 3629 §4: the first octet decides the length and the range of the second.
        if (octet >= 0xc2 && octet <= 0xdf) {
            needed_ = 1;
        } else if (octet >= 0xe0 && octet <= 0xef) {
            needed_ = 2;
            if (octet == 0xe0) lowest_ = 0xa0;
            if (octet == 0xed) highest_ = 0x9f;
        } else if (octet >= 0xf0 && octet <= 0xf4) {
            needed_ = 3;
            if (octet == 0xf0) lowest_ = 0x90;
            if (octet == 0xf4) highest_ = 0x8f;
        } else {
            return !(failed_ = true);
        }
    }
    return true;
}

bool is_utf8(std::string_view text) noexcept {
    utf8_validator validator;
    return validator.feed(text) && validator.complete();
}

}  // namespace foz
