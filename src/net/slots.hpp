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
    explicit slot_pool(std::size_t slots_max) noexcept : max_(slots_max) {}
    std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
    std::size_t max() const noexcept { return max_; }

private:
    friend class slot;
    bool take() noexcept {
        for (std::size_t used = used_.load(); used < max_;)
            if (used_.compare_exchange_weak(used, used + 1)) return true;
        return false;
    }
    void give_back() noexcept { used_.fetch_sub(1); }

    const std::size_t max_;
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
    void release() noexcept {
        if (const auto pool = std::exchange(pool_, nullptr)) pool->give_back();
    }
    explicit operator bool() const noexcept { return pool_ != nullptr; }

private:
    std::shared_ptr<slot_pool> pool_;
};

}  // namespace foz::net
