// A hash index of rows that lie elsewhere. No I/O.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// XXH3. Clients choose topics: with a seed that they can't know they can't choose names that all collide.
std::uint64_t name_hash(std::string_view name, std::uint64_t seed) noexcept;
std::uint64_t pair_hash(std::uint32_t first, std::uint32_t second, std::uint64_t seed) noexcept;

// Numbers of rows, found by the hash of the key that each row has. Open addressing with linear probing; erasing shifts
// back what has been pushed on, so that no tombstones gather. It is never iterated: no order depends on a hash.
class id_table {
public:
    static constexpr std::uint32_t none = UINT32_MAX;

    // `same(id)`: that row has the key.
    template <class Same>
    std::uint32_t find(std::uint64_t hash, Same&& same) const {
        if (cells_.empty()) return none;
        const auto mark = static_cast<std::uint32_t>(hash);
        for (std::size_t at = mark & mask();; at = (at + 1) & mask()) {
            const cell& here = cells_[at];
            if (here.id == none) return none;
            if (here.hash == mark && same(here.id)) return here.id;
        }
    }
    // Whoever inserts has looked first: no key stands here twice.
    void insert(std::uint64_t hash, std::uint32_t id);
    void erase(std::uint64_t hash, std::uint32_t id);

    std::size_t size() const noexcept { return size_; }

private:
    struct cell {
        std::uint32_t hash = 0;
        std::uint32_t id = none;
    };

    std::size_t mask() const noexcept { return cells_.size() - 1; }
    void place(cell what) noexcept;
    void resize(std::size_t cells);

    std::vector<cell> cells_;  // a power of two
    std::size_t size_ = 0;
};

}  // namespace foz::aggregator
