// Pointers, each found by a small number that it keeps while it is here.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace foz {

// `Pointer` owns something, and is false when it owns nothing. Numbers are used again, the one that became free last
// first. As a crowd goes, its memory goes with it, as far as those who stay let it.
template <class Pointer>
class slot_table {
public:
    slot_table() = default;
    slot_table(slot_table&& other) noexcept
        : slots_(std::exchange(other.slots_, {})),
          free_(std::exchange(other.free_, {})),
          size_(std::exchange(other.size_, 0)) {}
    slot_table& operator=(slot_table&&) = delete;

    // The number that put() would give.
    std::uint32_t next() noexcept {
        while (!free_.empty() && !is_free(free_.back())) free_.pop_back();
        return free_.empty() ? static_cast<std::uint32_t>(slots_.size()) : free_.back();
    }
    std::uint32_t put(Pointer what) {
        assert(what);
        const std::uint32_t slot = next();
        if (!free_.empty() && free_.back() == slot) free_.pop_back();
        if (slot == slots_.size()) slots_.emplace_back();
        slots_[slot] = std::move(what);
        ++size_;
        return slot;
    }
    // Out of its slot, which is free then.
    Pointer take(std::uint32_t slot) {
        assert(slot < slots_.size() && slots_[slot]);
        Pointer taken = std::exchange(slots_[slot], Pointer());
        --size_;
        if (slot + 1 < slots_.size()) {
            free_.push_back(slot);
        } else {
            while (!slots_.empty() && !slots_.back()) slots_.pop_back();
        }
        if (4 * slots_.size() <= slots_.capacity() && slots_.capacity() > kept_slots) shrink();
        return taken;
    }

    // Nothing when the slot is free, or beyond the last one.
    const Pointer& operator[](std::uint32_t slot) const noexcept {
        static const Pointer nothing{};
        return slot < slots_.size() ? slots_[slot] : nothing;
    }
    std::size_t size() const noexcept { return size_; }
    // No slot that is taken lies beyond: for those who go through all.
    std::uint32_t extent() const noexcept { return static_cast<std::uint32_t>(slots_.size()); }

    // Numbers that are remembered as free: never many more than there are slots.
    std::size_t remembered() const noexcept { return free_.size(); }

    // Everything at once. The table is empty before the first one goes.
    void clear() noexcept {
        const auto gone = std::exchange(slots_, {});
        free_ = {};
        size_ = 0;
    }

private:
    static constexpr std::size_t kept_slots = 64;

    // Numbers beyond the end may be left in free_, and be taken again before they are met there.
    bool is_free(std::uint32_t slot) const noexcept { return slot < slots_.size() && !slots_[slot]; }

    void shrink() {
        std::vector<Pointer> smaller;
        smaller.reserve(2 * slots_.size());
        for (Pointer& each : slots_) smaller.push_back(std::move(each));
        slots_ = std::move(smaller);
        std::erase_if(free_, [&](std::uint32_t slot) { return slot >= slots_.size(); });
        free_.shrink_to_fit();
    }

    std::vector<Pointer> slots_;
    std::vector<std::uint32_t> free_;
    std::size_t size_ = 0;
};

}  // namespace foz
