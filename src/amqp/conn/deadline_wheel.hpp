// Deadlines of numbered things, so that what is due is found without looking at what isn't. Pure.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace foz::amqp {

// A hashed wheel over the numbers of slots that its owner hands out; each slot has at most one deadline. A deadline is
// reported at the first expire() that is at least as late, rounded up to a tick. Arming and disarming cost O(1), and so
// does each bucket that time has passed; a deadline more than a turn of the wheel away is looked at once a turn.
class deadline_wheel {
public:
    static constexpr std::chrono::milliseconds tick{100};

    deadline_wheel() { buckets_.fill(none); }

    void arm(std::uint32_t slot, steady_time deadline) {
        if (slot >= nodes_.size()) nodes_.resize(slot + 1);
        node& made = nodes_[slot];
        assert(!made.armed);
        const std::uint64_t due = std::max(tick_of(deadline + tick - std::chrono::nanoseconds(1)), current_ + 1);
        made = {.deadline = deadline, .bucket = static_cast<std::uint32_t>(due % bucket_count), .armed = true};
        made.next = buckets_[made.bucket];
        if (made.next != none) nodes_[made.next].previous = slot;
        buckets_[made.bucket] = slot;
        ++armed_;
    }

    void disarm(std::uint32_t slot) {
        if (slot >= nodes_.size() || !nodes_[slot].armed) return;
        node& gone = nodes_[slot];
        (gone.previous == none ? buckets_[gone.bucket] : nodes_[gone.previous].next) = gone.next;
        if (gone.next != none) nodes_[gone.next].previous = gone.previous;
        gone.armed = false;
        --armed_;
    }

    // Disarms what is due and appends it to `due`.
    void expire(steady_time now, std::vector<std::uint32_t>& due) {
        const std::uint64_t until = tick_of(now);
        if (until <= current_) return;
        const std::uint64_t count = std::min<std::uint64_t>(until - current_, bucket_count);
        for (std::uint64_t i = 1; i <= count; ++i) {
            std::uint32_t slot = buckets_[(until - count + i) % bucket_count];
            while (slot != none) {
                const std::uint32_t next = nodes_[slot].next;
                if (nodes_[slot].deadline <= now) {
                    disarm(slot);
                    due.push_back(slot);
                }
                slot = next;
            }
        }
        current_ = until;
    }

    std::size_t armed() const noexcept { return armed_; }

    // Gives memory back; nothing may be armed.
    void release() {
        assert(armed_ == 0);
        nodes_ = {};
        buckets_.fill(none);
    }

private:
    static constexpr std::uint64_t bucket_count = 256;
    static constexpr std::uint32_t none = UINT32_MAX;
    struct node {
        steady_time deadline{};
        std::uint32_t next = none, previous = none;
        std::uint32_t bucket = 0;
        bool armed = false;
    };

    static std::uint64_t tick_of(steady_time t) noexcept {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(t.time_since_epoch() / tick, 0));
    }

    std::array<std::uint32_t, bucket_count> buckets_;
    std::vector<node> nodes_;
    std::uint64_t current_ = 0;
    std::size_t armed_ = 0;
};

}  // namespace foz::amqp
