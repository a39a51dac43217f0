// A number that is not to be exceeded, by all shards together: connections of a process, refusals under way.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace foz::net {

// From any thread. Kept by its slots.
class slot_pool {
public:
    // `above`: a slot of this pool is one of that pool, too.
    explicit slot_pool(std::size_t slots_max, std::shared_ptr<slot_pool> above = nullptr) noexcept
        : max_(slots_max), above_(std::move(above)) {}
    std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
    std::size_t max() const noexcept { return max_; }

private:
    friend class slot;
    bool take() noexcept {
        if (above_ && !above_->take()) return false;
        if (take_own()) return true;
        if (above_) above_->give_back();
        return false;
    }
    bool take_own() noexcept {
        for (std::size_t used = used_.load(); used < max_;)
            if (used_.compare_exchange_weak(used, used + 1)) return true;
        return false;
    }
    void give_back() noexcept {
        used_.fetch_sub(1);
        if (above_) above_->give_back();
    }

    const std::size_t max_;
    const std::shared_ptr<slot_pool> above_;
    std::atomic<std::size_t> used_ = 0;
};

// One of a pool's slots, or nothing. Given back when it is destroyed.
class slot {
public:
    slot() noexcept = default;
    slot(slot&&) noexcept = default;
    slot& operator=(slot&& other) noexcept {
        release();
        pool_ = std::move(other.pool_);
        return *this;
    }
    ~slot() { release(); }

    // Nothing when all are taken.
    static slot take(const std::shared_ptr<slot_pool>& from) noexcept {
        slot taken;
        if (from->take()) taken.pool_ = from;
        return taken;
    }
    // This slot of the pool above `below` becomes one of `below`. False, and it stays what it is, when that has none
    // left or lies elsewhere.
    bool nest(const std::shared_ptr<slot_pool>& below) noexcept {
        if (!below || !pool_ || below->above_ != pool_ || !below->take_own()) return false;
        pool_ = below;
        return true;
    }
    void release() noexcept {
        if (const auto pool = std::exchange(pool_, nullptr)) pool->give_back();
    }
    explicit operator bool() const noexcept { return pool_ != nullptr; }

private:
    std::shared_ptr<slot_pool> pool_;
};

}  // namespace foz::net
