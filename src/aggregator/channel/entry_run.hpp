// Entries one behind the other that reach the same members. No I/O.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "base/frame.hpp"

#include <cstddef>
#include <vector>

namespace foz::aggregator {

// What one turn says to the same members is joined, so that each of them is visited and queued for once. Whoever
// collects entries hands them out before anything else happens to those members, and before the turn ends. Lives on one
// shard.
class entry_run {
public:
    // A large frame is worth the visits, and its copying would cost as much as they do.
    static constexpr std::size_t frame_octets_max = 4 * 1024;

    // `octets_max`: of all that is joined.
    explicit entry_run(std::size_t octets_max) noexcept : octets_max_(octets_max) {}

    // It reaches those whom the others of the run reach, by a frame that is joined to theirs. To an empty run: it may
    // be the first of one.
    bool takes(const entry& next) const;
    void add(entry_ref next);

    bool empty() const noexcept { return entries_.empty(); }
    std::size_t size() const noexcept { return entries_.size(); }
    // Who is reached: the others reach the same.
    const entry& first() const { return *entries_.front(); }
    // The WebSocket frames of all, in order.
    frame_ref joined() const;
    void clear() noexcept;

private:
    const std::size_t octets_max_;
    std::vector<entry_ref> entries_;
    std::size_t octets_ = 0;
};

}  // namespace foz::aggregator
