// Older entries of a durable channel, read from its stream for sessions that come back: what is asked for, and what
// comes. No I/O.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/channel/page_index.hpp"
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
};

// A part of what was asked for. Each page is answered (catch_up::taken): more, or no more. The reading ends when its
// entries meet the session's recent ones: then the session wants no more.
struct page {
    std::shared_ptr<const std::vector<entry_ref>> entries;  // of all who read here
    std::shared_ptr<const page_index> index;                // of `entries`
    std::size_t begin = 0;                                  // of `entries`: those before it are not for this reading
    // Before the entries of this page. `recreated`: the place that was asked for is of another stream; what comes, if
    // more is wanted, is this one from its beginning.
    std::optional<envelope::gap_cause> gap;
    // The stream had nothing more to give when this page was made. What has come since is with the recent entries, or,
    // if these begin behind what was read, there is more to ask for.
    bool last = false;
};

}  // namespace foz::aggregator
