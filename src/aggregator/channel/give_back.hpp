// Vectors that do not keep the memory of a crowd that has gone. No I/O.
#pragma once

#include <cstddef>
#include <vector>

namespace foz::aggregator {

// Empties it, and its memory goes.
template <class T>
void give_back(std::vector<T>& all) {
    std::vector<T>().swap(all);
}

// What has become far too large for its contents gives the rest of its memory back; after that, half of it is room to
// grow, so that a crowd that comes and goes is not moved each time.
template <class T>
void give_back_excess(std::vector<T>& all) {
    constexpr std::size_t worth_it = 64;
    if (all.capacity() < worth_it || 4 * all.size() > all.capacity()) return;
    std::vector<T> smaller;
    smaller.reserve(2 * all.size());
    smaller.assign(all.begin(), all.end());
    all.swap(smaller);
}

}  // namespace foz::aggregator
