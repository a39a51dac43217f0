#include "base/encoding.hpp"

#include <array>
#include <cstdint>

namespace foz {
namespace {

constexpr std::string_view standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_safe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view lower32 = "abcdefghijklmnopqrstuvwxyz234567";

// Regroups octets into digits of `bits` bits, most significant first; the last digit is filled with zeros.
std::string regroup(std::string_view octets, std::string_view alphabet, unsigned bits) {
    std::string text;
    text.reserve((octets.size() * 8 + bits - 1) / bits + 3);
    std::uint32_t pending = 0;
    unsigned pending_bits = 0;
    for (const char c : octets) {
        pending = (pending << 8) | static_cast<std::uint8_t>(c);
        pending_bits += 8;
        while (pending_bits >= bits) {
            pending_bits -= bits;
            text += alphabet[(pending >> pending_bits) & ((1u << bits) - 1)];
        }
        pending &= (1u << pending_bits) - 1;
    }
    if (pending_bits > 0) text += alphabet[(pending << (bits - pending_bits)) & ((1u << bits) - 1)];
    return text;
}

constexpr std::array<std::int8_t, 256> url_safe_values() {
    std::array<std::int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < url_safe.size(); ++i)
        values[static_cast<std::uint8_t>(url_safe[i])] = static_cast<std::int8_t>(i);
    return values;
}

}  // namespace

std::string base64(std::string_view octets) {
    std::string text = regroup(octets, standard, 6);
    while (text.size() % 4 != 0) text += '=';
    return text;
}

std::string base64url(std::string_view octets) {
    return regroup(octets, url_safe, 6);
}

std::optional<std::string> from_base64url(std::string_view text) {
    static constexpr auto values = url_safe_values();
    if (text.size() % 4 == 1) return std::nullopt;
    std::string octets;
    octets.reserve(text.size() * 3 / 4);
    std::uint32_t pending = 0;
    unsigned pending_bits = 0;
    for (const char c : text) {
        const int value = values[static_cast<std::uint8_t>(c)];
        if (value < 0) return std::nullopt;
        pending = (pending << 6) | static_cast<std::uint32_t>(value);
        pending_bits += 6;
        if (pending_bits >= 8) {
            pending_bits -= 8;
            octets += static_cast<char>((pending >> pending_bits) & 0xff);
            pending &= (1u << pending_bits) - 1;
        }
    }
    if (pending != 0) return std::nullopt;  // RFC 4648 §3.5: stray bits
    return octets;
}

std::string base32(std::string_view octets) {
    return regroup(octets, lower32, 5);
}

std::string hex(std::string_view octets) {
    return regroup(octets, "0123456789abcdef", 4);
}

}  // namespace foz
