// UTF-8 checked as it arrives (RFC 3629).
#pragma once

#include <cstdint>
#include <string_view>

namespace foz {

// Feed pieces in order; a piece may end inside a character. Fails at the first octet that can't be part of
// well-formed UTF-8 (overlong forms, surrogates and values above U+10FFFF included), so that a bad message is
// refused before it has arrived whole (RFC 6455 §8.1). Value type, 3 octets of state.
class utf8_validator {
public:
    // False when the text so far can't become valid; the validator then stays failed until reset().
    bool feed(std::string_view piece) noexcept;
    // True at a character boundary: a text may end here.
    bool complete() const noexcept { return !failed_ && needed_ == 0; }
    void reset() noexcept { *this = {}; }

private:
    std::uint8_t needed_ = 0;     // continuation octets still to come
    std::uint8_t lowest_ = 0x80;  // range of the next continuation octet
    std::uint8_t highest_ = 0xbf;
    bool failed_ = false;
};

bool is_utf8(std::string_view text) noexcept;

}  // namespace foz
