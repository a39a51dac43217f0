// Protocol words whose case doesn't count: header names, schemes, host names. Only ASCII letters, whatever the locale.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace foz {

constexpr char ascii_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string ascii_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

constexpr bool ascii_iequals(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, [](char x, char y) { return ascii_lower(x) == ascii_lower(y); });
}

constexpr bool ascii_istarts_with(std::string_view text, std::string_view prefix) noexcept {
    return ascii_iequals(text.substr(0, prefix.size()), prefix);
}

}  // namespace foz
