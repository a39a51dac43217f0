// Whose turn it is to be told its position on one channel. No I/O.
#pragma once

#include "aggregator/channel/give_back.hpp"
#include "aggregator/channel/member.hpp"
#include "base/clock.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace foz::aggregator {

// A session that hears nothing falls behind all the same: when it comes back with a place that is further away than a
// resume may read, it has lost messages. So each is told where the channel is. A hand goes round the sessions, once in
// `entries` entries or in `interval`, whichever is sooner: each session is told by itself, and ten thousand are never
// due at once. A session that changes its place in the round is told a round later at the most.
class position_schedule {
public:
    position_schedule(std::uint64_t entries, std::chrono::milliseconds interval)
        : entries_(std::max<std::uint64_t>(entries, 1)), interval_(std::max(interval, std::chrono::milliseconds(1))) {}

    // The session knows its position now; `count` is that of the channel's entries so far.
    void track(member who, std::uint64_t count) {
        if (who.slot >= by_slot_.size()) by_slot_.resize(who.slot + 1, none);
        std::uint32_t& at = by_slot_[who.slot];
        if (at == none) {
            at = static_cast<std::uint32_t>(seats_.size());
            seats_.push_back({who, count});
        } else {
            seats_[at] = {who, count};
        }
    }
    void untrack(member who) {
        if (who.slot >= by_slot_.size() || by_slot_[who.slot] == none) return;
        const std::uint32_t at = std::exchange(by_slot_[who.slot], none);
        if (at + 1 != seats_.size()) {
            seats_[at] = seats_.back();
            by_slot_[seats_[at].who.slot] = at;
        }
        seats_.pop_back();
        give_back_excess(seats_);
        if (seats_.empty()) give_back(by_slot_);
    }

    // Moves the hand on to where it should be, past at most `budget` sessions; calls tell(member) for those that don't
    // know the present position. True: it is still behind. `tell` must not change the schedule.
    template <class Tell>
    bool tell_due(std::uint64_t count, steady_time now, std::size_t budget, Tell&& tell) {
        if (looked_at_ == steady_time{}) {  // the round begins here
            counted_ = count;
            looked_at_ = now;
        }
        const double rounds = std::max(static_cast<double>(count - counted_) / static_cast<double>(entries_),
                                       std::chrono::duration<double>(now - looked_at_) / interval_);
        counted_ = count;
        looked_at_ = now;
        // More than a whole round is never owed.
        owed_ = std::min(owed_ + rounds * static_cast<double>(seats_.size()), static_cast<double>(seats_.size()));
        for (; owed_ >= 1 && !seats_.empty(); owed_ -= 1) {
            if (budget-- == 0) return true;
            if (hand_ >= seats_.size()) hand_ = 0;
            seat& here = seats_[hand_++];
            if (std::exchange(here.count, count) != count) tell(here.who);
        }
        return false;
    }

    std::size_t size() const noexcept { return seats_.size(); }

private:
    static constexpr std::uint32_t none = UINT32_MAX;

    struct seat {
        member who;
        std::uint64_t count;  // of the position that it knows
    };

    const std::uint64_t entries_;
    const std::chrono::duration<double> interval_;
    std::vector<seat> seats_;
    std::vector<std::uint32_t> by_slot_;  // the seat of each session, or none
    std::size_t hand_ = 0;
    double owed_ = 0;  // sessions that the hand should have passed already
    std::uint64_t counted_ = 0;
    steady_time looked_at_{};
};

}  // namespace foz::aggregator
