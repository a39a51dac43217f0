#include "cli/top/line.hpp"

#include <algorithm>

namespace foz::cli::top {
namespace {

// ECMA-48 §8.3.117. Colours are those of the terminal's own palette.
std::string_view sgr(style as) {
    switch (as) {
        case style::plain:
            return "";
        case style::dim:
            return "\x1b[2m";
        case style::bold:
            return "\x1b[1m";
        case style::good:
            return "\x1b[32m";
        case style::warning:
            return "\x1b[33m";
        case style::bad:
            return "\x1b[1;31m";
        case style::heading:
            return "\x1b[7m";
        case style::marked:
            return "\x1b[1;7m";
    }
    return "";
}

}  // namespace

std::string line::text(std::size_t width, bool colours) const {
    std::string out;
    std::size_t left = width;
    for (const auto& [piece, as] : pieces_) {
        const std::size_t wants = columns(piece);
        const std::string shown = wants > left ? fit_left(piece, left) : piece;
        const std::string_view begin = colours ? sgr(as) : "";
        out += begin;
        out += shown;
        if (!begin.empty()) out += "\x1b[0m";
        left -= std::min(wants, left);
        if (left == 0) break;
    }
    if (!colours) out.erase(out.find_last_not_of(' ') + 1);
    return out;
}

}  // namespace foz::cli::top
