// The last entries of a channel, for clients that come back soon. No I/O.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/channel/page_index.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace foz::aggregator {

// In the stream's order, bounded by octets; the newest entries always stay. One for each channel and shard: the entries
// themselves are shared with the other shards. Kept in blocks, which come and go as a whole: a block that is full has
// an index by receiver, so that a session that comes back looks at what is for it and not at everything.
class recent_entries {
public:
    static constexpr std::size_t block_entries = 256;

    struct block {
        std::uint64_t number = 0;  // counts up; never used twice
        std::vector<entry_ref> entries;
        std::size_t octets = 0;
        std::uint64_t said_before_s = 0;          // when the last entry before the block was said, as far as is known
        mutable std::optional<page_index> index;  // made when it is asked for first, of a full block
        bool full = false;

        std::uint64_t first_offset() const { return entries.front()->where->offset; }
        std::uint64_t last_offset() const { return entries.back()->where->offset; }
    };

    explicit recent_entries(std::size_t octets_max) : octets_max_(octets_max) {}

    // Every entry has a position, behind that of the one before.
    void push(entry_ref item) {
        assert(item->where && (blocks_.empty() || item->where->offset > blocks_.back().last_offset()));
        if (blocks_.empty() || blocks_.back().full) {
            block& fresh = blocks_.emplace_back();
            fresh.number = ++numbers_;
            fresh.said_before_s = said_s_;
        }
        block& last = blocks_.back();
        if (item->timestamp_s != 0) said_s_ = item->timestamp_s;
        last.octets += item->bytes();
        octets_ += item->bytes();
        last.entries.push_back(std::move(item));
        last.full = last.entries.size() >= block_entries || last.octets >= octets_max_ / 16;
        while (octets_ > octets_max_ && blocks_.size() > 1) {
            octets_ -= blocks_.front().octets;
            blocks_.pop_front();
        }
    }
    // Remembers nothing any more. Freeing what it held takes time: a caller that must not keep a loop waiting does so
    // in portions.
    std::deque<block> release() {
        octets_ = 0;
        said_s_ = 0;
        return std::exchange(blocks_, {});
    }

    bool empty() const noexcept { return blocks_.empty(); }
    const entry& front() const { return *blocks_.front().entries.front(); }
    const entry& back() const { return *blocks_.back().entries.back(); }

    // The block with the first entry at or behind this offset, or null.
    const block* find(std::uint64_t offset) const {
        const auto at = std::ranges::partition_point(blocks_, [&](const block& b) { return b.last_offset() < offset; });
        return at == blocks_.end() ? nullptr : &*at;
    }
    // The first entry of the block at or behind this offset.
    static std::size_t place_in(const block& in, std::uint64_t offset) {
        const auto at = std::ranges::partition_point(
            in.entries, [&](const entry_ref& item) { return item->where->offset < offset; });
        return static_cast<std::size_t>(at - in.entries.begin());
    }
    // The entry at this offset, or null.
    const entry* at(std::uint64_t offset) const {
        const block* const in = find(offset);
        if (!in) return nullptr;
        const entry& there = *in->entries[place_in(*in, offset)];
        return there.where->offset == offset ? &there : nullptr;
    }
    // Null while the block is not full.
    const page_index* index_of(const block& of) const {
        if (!of.full) return nullptr;
        auto& made = of.index;
        if (!made) made.emplace(of.entries, of.said_before_s);
        return &*made;
    }

private:
    const std::size_t octets_max_;
    std::size_t octets_ = 0;
    std::uint64_t said_s_ = 0;
    std::uint64_t numbers_ = 0;
    std::deque<block> blocks_;
};

}  // namespace foz::aggregator
