#include "aggregator/channel/id_table.hpp"

#include <algorithm>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace foz::aggregator {
namespace {

constexpr std::size_t cells_min = 8;

}  // namespace

std::uint64_t name_hash(std::string_view name, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(name.data(), name.size(), seed);
}

std::uint64_t pair_hash(std::uint32_t first, std::uint32_t second, std::uint64_t seed) noexcept {
    const std::uint32_t both[] = {first, second};
    return XXH3_64bits_withSeed(both, sizeof both, seed);
}

// Three quarters full at most: a search ends soon, and always.
void id_table::insert(std::uint64_t hash, std::uint32_t id) {
    assert(id != none);
    if (4 * (size_ + 1) > 3 * cells_.size()) resize(std::max(cells_min, 2 * cells_.size()));
    place({static_cast<std::uint32_t>(hash), id});
    ++size_;
}

void id_table::place(cell what) noexcept {
    std::size_t at = what.hash & mask();
    while (cells_[at].id != none) at = (at + 1) & mask();
    cells_[at] = what;
}

void id_table::erase(std::uint64_t hash, std::uint32_t id) {
    assert(size_ > 0);
    std::size_t hole = static_cast<std::uint32_t>(hash) & mask();
    while (cells_[hole].id != id) {
        assert(cells_[hole].id != none);
        hole = (hole + 1) & mask();
    }
    // What was pushed beyond the hole by it comes back into it, and leaves a hole of its own.
    for (std::size_t at = (hole + 1) & mask(); cells_[at].id != none; at = (at + 1) & mask()) {
        const std::size_t home = cells_[at].hash & mask();
        if (((at - home) & mask()) < ((at - hole) & mask())) continue;
        cells_[hole] = cells_[at];
        hole = at;
    }
    cells_[hole] = {};
    --size_;
    if (cells_.size() > cells_min && 8 * size_ < cells_.size()) resize(cells_.size() / 4);
}

void id_table::resize(std::size_t cells) {
    const auto before = std::exchange(cells_, std::vector<cell>(std::max(cells, cells_min)));
    for (const cell& each : before)
        if (each.id != none) place(each);
}

}  // namespace foz::aggregator
