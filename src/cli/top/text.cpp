#include "cli/top/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>

namespace foz::cli::top {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view ellipsis = "…";

struct range {
    char32_t first;
    char32_t last;
};

template <std::size_t N>
bool among(const std::array<range, N>& all, char32_t c) {
    return std::any_of(all.begin(), all.end(), [c](range one) { return one.first <= c && c <= one.last; });
}

// Scripts and symbols that take two columns (Unicode's East Asian Width W and F, in coarse blocks).
constexpr std::array wide{range{0x1100, 0x115F},   range{0x231A, 0x231B},   range{0x23E9, 0x23EC},
                          range{0x2E80, 0x303E},   range{0x3041, 0x33FF},   range{0x3400, 0x4DBF},
                          range{0x4E00, 0x9FFF},   range{0xA000, 0xA4CF},   range{0xA960, 0xA97F},
                          range{0xAC00, 0xD7A3},   range{0xF900, 0xFAFF},   range{0xFE30, 0xFE6F},
                          range{0xFF00, 0xFF60},   range{0xFFE0, 0xFFE6},   range{0x16FE0, 0x18DFF},
                          range{0x1B000, 0x1B2FF}, range{0x1F300, 0x1F64F}, range{0x1F680, 0x1F6FF},
                          range{0x1F7E0, 0x1F7EB}, range{0x1F900, 0x1FAFF}, range{0x20000, 0x3FFFD}};

// What has no column of its own: C1 controls, marks that combine, joiners, bidirectional controls, variation
// selectors, surrogates, private use, tags and no characters.
constexpr std::array unprintable{
    range{0x80, 0x9F},       range{0xAD, 0xAD},       range{0x300, 0x36F},     range{0x483, 0x489},
    range{0x591, 0x5C7},     range{0x600, 0x605},     range{0x610, 0x61C},     range{0x64B, 0x65F},
    range{0x670, 0x670},     range{0x6D6, 0x6ED},     range{0x70F, 0x711},     range{0x730, 0x74A},
    range{0x7A6, 0x7B0},     range{0x7EB, 0x7F3},     range{0x816, 0x82D},     range{0x859, 0x85B},
    range{0x890, 0x903},     range{0x93A, 0x94F},     range{0xE31, 0xE31},     range{0xE34, 0xE3A},
    range{0xE47, 0xE4E},     range{0x115F, 0x1160},   range{0x17B4, 0x17D3},   range{0x180B, 0x180F},
    range{0x1AB0, 0x1AFF},   range{0x1DC0, 0x1DFF},   range{0x200B, 0x200F},   range{0x2028, 0x202E},
    range{0x2060, 0x206F},   range{0x20D0, 0x20FF},   range{0x302A, 0x302F},   range{0x3099, 0x309A},
    range{0x3164, 0x3164},   range{0xD800, 0xF8FF},   range{0xFE00, 0xFE0F},   range{0xFE20, 0xFE2F},
    range{0xFEFF, 0xFEFF},   range{0xFFA0, 0xFFA0},   range{0xFFF0, 0xFFFC},   range{0xFFFE, 0xFFFF},
    range{0x1D165, 0x1D182}, range{0x1F3FB, 0x1F3FF}, range{0xE0000, 0x10FFFF}};

struct decoded {
    char32_t code = 0;
    std::size_t octets = 0;  // 0: no UTF-8
};

// The character at the beginning of the text, which is not empty (RFC 3629 §4).
decoded first_of(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = at(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t octets = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < octets) return {};
    char32_t code = lead & (0x7Fu >> octets);
    for (std::size_t i = 1; i < octets; ++i) {
        if ((at(i) & 0xC0) != 0x80) return {};
        code = code << 6 | (at(i) & 0x3Fu);
    }
    constexpr char32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < shortest[octets] || code > 0x10FFFF || (0xD800 <= code && code <= 0xDFFF)) return {};
    return {code, octets};
}

std::size_t width_of(char32_t code) {
    return among(wide, code) ? 2 : 1;
}

// As many characters as fit into the width; `used` is what they take.
std::string_view head(std::string_view text, std::size_t width, std::size_t& used) {
    std::size_t octets = 0;
    used = 0;
    while (octets < text.size()) {
        const decoded next = first_of(text.substr(octets));
        if (used + width_of(next.code) > width) break;
        used += width_of(next.code);
        octets += std::max<std::size_t>(next.octets, 1);
    }
    return text.substr(0, octets);
}

std::string format(const char* how, double number) {
    char out[48];
    const int length = std::snprintf(out, sizeof out, how, number);
    return {out, static_cast<std::size_t>(std::clamp(length, 0, 47))};
}

// Three figures and the unit's letter: 1.23M, 12.3M, 123M.
std::string scaled(double number, std::string_view units) {
    std::size_t unit = 0;
    while (number >= 999.5 && unit < units.size()) {
        number /= 1'000;
        ++unit;
    }
    if (number >= 999.5) return "huge";
    const char* const how = number >= 99.95 ? "%.0f" : number >= 9.995 ? "%.1f" : "%.2f";
    return format(how, number) + (unit > 0 ? std::string(1, units[unit - 1]) : "");
}

}  // namespace

std::size_t columns(std::string_view text) {
    std::size_t used = 0;
    head(text, std::string_view::npos, used);
    return used;
}

std::string printable(std::string_view octets) {
    std::string out;
    while (!octets.empty()) {
        const decoded next = first_of(octets);
        const std::size_t taken = std::max<std::size_t>(next.octets, 1);
        if (next.octets == 1 && (next.code < 0x20 || next.code == 0x7F)) {
            out += "\xE2\x90";  // U+2400 + c; U+2421 is DEL's
            out += static_cast<char>(0x80 + (next.code == 0x7F ? 0x21 : next.code));
        } else if (next.octets == 0 || among(unprintable, next.code)) {
            out += replacement;
        } else {
            out += octets.substr(0, taken);
        }
        octets.remove_prefix(taken);
    }
    return out;
}

std::string fit_left(std::string_view text, std::size_t width) {
    std::size_t used = columns(text);
    if (used <= width) return std::string(text) + std::string(width - used, ' ');
    if (width == 0) return {};
    std::string out(head(text, width - 1, used));
    out += ellipsis;
    return out + std::string(width - 1 - used, ' ');
}

std::string fit_right(std::string_view text, std::size_t width) {
    const std::size_t used = columns(text);
    if (used > width) return fit_left(text, width);
    return std::string(width - used, ' ') + std::string(text);
}

std::string human(double number) {
    if (!(number >= 0)) return "-";
    if (number < 999.5) return format("%.0f", number);
    if (number < 9'999.5) {
        std::string digits = format("%.0f", number);
        return digits.insert(1, ",");
    }
    return scaled(number, "kMGTPE");
}

std::string human_rate(double per_second) {
    return per_second > 0 && per_second < 0.5 ? "<1" : human(per_second);
}

std::string human_bytes(double octets) {
    if (!(octets >= 0)) return "-";
    if (octets < 999.5) return format("%.0f B", octets);
    std::string text = scaled(octets, "kMGTPE");
    if (text == "huge") return text;
    return text.insert(text.size() - 1, " ") + "B";
}

std::string human_time(double seconds) {
    if (!(seconds >= 0)) return "-";
    const auto all = static_cast<std::uint64_t>(std::min(seconds, 1e15));
    char out[48];
    const auto two = [&](const char* how, std::uint64_t large, std::uint64_t small) {
        std::snprintf(out, sizeof out, how, static_cast<unsigned long long>(large),
                      static_cast<unsigned long long>(small));
        return std::string(out);
    };
    if (all < 60) return std::to_string(all) + "s";
    if (all < 3'600) return two("%llum %02llus", all / 60, all % 60);
    if (all < 86'400) return two("%lluh %02llum", all / 3'600, all / 60 % 60);
    return two("%llud %02lluh", all / 86'400, all / 3'600 % 24);
}

}  // namespace foz::cli::top
