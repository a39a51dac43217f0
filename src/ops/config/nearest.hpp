// What someone may have meant: words by their distance from what was typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foz::ops {

// Insertions, deletions, replacements and swaps of neighbours that make one word the other (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The words, nearest first; equally near ones keep their order.
std::vector<std::string> nearest_first(std::string_view typed, std::vector<std::string> words);

// "did you mean port?", or "one of address, port is expected" when nothing is near.
std::string suggestion(std::string_view typed, const std::vector<std::string>& words);

// "a, b or c"
std::string join(const std::vector<std::string>& words, std::string_view last = " or ");

}  // namespace foz::ops
