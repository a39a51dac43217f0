// What was handed on and has not been dispatched yet, bounded in octets. No I/O.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace foz::aggregator {

// Numbers what is handed on, from 1, and takes it back in that order. `Mark` is what whoever handed it on needs to
// acknowledge it to the broker; an acknowledgement covers everything before.
template <class Mark>
class credit_window {
public:
    explicit credit_window(std::size_t octets_max) : octets_max_(octets_max) { assert(octets_max > 0); }

    std::uint64_t hand_on(std::size_t octets, Mark mark) {
        open_.push_back({octets, std::move(mark)});
        octets_ += octets;
        return first_ + open_.size() - 1;
    }
    // Something that needs no dispatching: covered with what was handed on last, or, when nothing is open, at once.
    std::optional<Mark> pass(Mark mark) {
        if (open_.empty()) return mark;
        open_.back().mark = std::move(mark);
        return std::nullopt;
    }
    // Everything up to this number has been dispatched; the last mark among it that is new.
    std::optional<Mark> settle(std::uint64_t number) {
        assert(number < first_ + open_.size());
        std::optional<Mark> last;
        for (; !open_.empty() && first_ <= number; ++first_) {
            octets_ -= open_.front().octets;
            last = std::move(open_.front().mark);
            open_.pop_front();
        }
        return last;
    }

    bool full() const noexcept { return octets_ >= octets_max_; }
    // So that whoever stopped does not go on for one entry.
    bool half_empty() const noexcept { return octets_ <= octets_max_ / 2; }
    bool empty() const noexcept { return open_.empty(); }
    std::size_t octets() const noexcept { return octets_; }
    std::size_t entries() const noexcept { return open_.size(); }

private:
    struct handed_on {
        std::size_t octets;
        Mark mark;
    };

    const std::size_t octets_max_;
    std::size_t octets_ = 0;
    std::uint64_t first_ = 1;  // the number of the first open one
    std::deque<handed_on> open_;
};

}  // namespace foz::aggregator
