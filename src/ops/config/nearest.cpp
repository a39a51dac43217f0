#include "ops/config/nearest.hpp"

#include <algorithm>
#include <utility>

namespace foz::ops {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    // Three rows of the matrix: the one before the last is needed for swaps.
    std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::swap(before, above);
        std::swap(above, row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
    }
    return row[b.size()];
}

std::vector<std::string> nearest_first(std::string_view typed, std::vector<std::string> words) {
    std::stable_sort(words.begin(), words.end(), [&](const std::string& a, const std::string& b) {
        return edit_distance(typed, a) < edit_distance(typed, b);
    });
    return words;
}

std::string suggestion(std::string_view typed, const std::vector<std::string>& words) {
    const std::vector<std::string> near = nearest_first(typed, words);
    if (!near.empty() && edit_distance(typed, near.front()) <= std::max<std::size_t>(2, typed.size() / 3))
        return "did you mean " + near.front() + "?";
    return "one of " + join(words, ", ") + " is expected";
}

std::string join(const std::vector<std::string>& words, std::string_view last) {
    std::string all;
    for (std::size_t i = 0; i < words.size(); ++i)
        all.append(i == 0 ? std::string_view() : i + 1 == words.size() ? last : ", ").append(words[i]);
    return all;
}

}  // namespace foz::ops
