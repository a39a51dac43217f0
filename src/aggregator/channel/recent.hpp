// The last messages of a channel, for clients that come back soon. No I/O.
#pragma once

#include "aggregator/channel/entry.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace foz::aggregator {

// In the stream's order, bounded by bytes; the newest entry always stays. One for each channel and shard: the entries
// themselves are shared with the other shards.
class recent_messages {
public:
    using iterator = std::deque<entry_ref>::const_iterator;

    explicit recent_messages(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    // Every entry has a position.
    void push(entry_ref entry) {
        bytes_ += entry->bytes();
        entries_.push_back(std::move(entry));
        while (bytes_ > bytes_max_ && entries_.size() > 1) {
            bytes_ -= entries_.front()->bytes();
            entries_.pop_front();
        }
    }
    void clear() {
        entries_.clear();
        bytes_ = 0;
    }

    bool empty() const noexcept { return entries_.empty(); }
    const entry& front() const { return *entries_.front(); }
    const entry& back() const { return *entries_.back(); }
    iterator begin() const { return entries_.begin(); }
    iterator end() const { return entries_.end(); }
    // The first entry at or behind this offset.
    iterator from(std::uint64_t offset) const {
        return std::lower_bound(begin(), end(), offset, [](const entry_ref& entry, std::uint64_t wanted) {
            return entry->where->offset < wanted;
        });
    }

private:
    const std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::deque<entry_ref> entries_;
};

}  // namespace foz::aggregator
