// Older entries of a durable channel, read from its stream for sessions that come back: what is asked for, and what
// comes. No I/O.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "envelope/envelope.hpp"
#include "envelope/events.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace foz::aggregator {

// One resume of one session. A session may have begun another one since: its ticket tells them apart.
struct reading_id {
    std::size_t channel = 0;  // in the settings
    unsigned shard = 0;
    std::uint64_t session = 0;  // its serial on that shard
    std::uint64_t ticket = 0;
    friend auto operator<=>(const reading_id&, const reading_id&) = default;
};

struct page_request {
    reading_id who;
    envelope::resume_from from;  // at, first or since
    // The session's shard has recent entries, which the stream's entries will meet: before that it has not ended.
    bool has_recent = false;
};

// A part of what was asked for; it may be empty, to see who still reads. Each page is answered: more, or no more.
struct page {
    std::shared_ptr<const std::vector<entry_ref>> entries;
    std::size_t begin = 0;  // of `entries`: those before it are not for this reading
    std::optional<envelope::gap_cause> gap;
    bool last = false;  // the stream has nothing more to give: the rest is among the recent entries
};

}  // namespace foz::aggregator
