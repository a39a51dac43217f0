#pragma once

#include <cstdio>
#include <string_view>

namespace foz::cli {

// Writes the text to standard output as it is.
inline void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace foz::cli
