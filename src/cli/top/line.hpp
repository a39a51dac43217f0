// One line of a terminal that is put together from styled pieces.
#pragma once

#include "cli/top/text.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::cli::top {

enum class style : std::uint8_t { plain, dim, bold, good, warning, bad, heading, marked };

class line {
public:
    line& add(std::string text, style as = style::plain) {
        width_ += columns(text);
        pieces_.emplace_back(std::move(text), as);
        return *this;
    }
    // Spaces up to this column.
    line& to(std::size_t column) {
        if (width_ < column) add(std::string(column - width_, ' '));
        return *this;
    }
    std::size_t width() const noexcept { return width_; }

    // Cut to the width. Without colours styles say nothing, and spaces at the end are left out.
    std::string text(std::size_t width, bool colours) const;

private:
    std::vector<std::pair<std::string, style>> pieces_;
    std::size_t width_ = 0;
};

}  // namespace foz::cli::top
