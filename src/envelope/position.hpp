// Where in a channel's stream a client is.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace foz::envelope {

// `<partition>.<offset>.<check>`, opaque to clients. `check` is check_of() the entry at that offset: a stream that was
// made anew or has lost the entry shows. Offsets have holes: compare them, never compute with them.
struct position {
    std::uint32_t partition = 0;
    std::uint64_t offset = 0;
    std::uint32_t check = 0;
    friend bool operator==(const position&, const position&) = default;
};

enum class position_errc : std::uint8_t {
    not_three_parts,
    bad_partition,  // not a decimal number of 32 bits, or with leading zeros
    bad_offset,     // the same with 64 bits
    bad_check,      // not eight lower-case hexadecimal digits
};

// A literal for people.
std::string_view to_text(position_errc code) noexcept;

// Accepts what append() writes and nothing else.
std::expected<position, position_errc> parse_position(std::string_view text) noexcept;

void append(std::string& out, const position& where);
std::string to_string(const position& where);

// base's content_check_of(): what stands in a position.
std::uint32_t check_of(std::string_view message_id, std::string_view body) noexcept;

}  // namespace foz::envelope
