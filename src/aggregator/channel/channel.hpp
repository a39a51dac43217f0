// What one channel is on one shard. No I/O.
#pragma once

#include "aggregator/channel/audience.hpp"
#include "aggregator/channel/position_schedule.hpp"
#include "aggregator/channel/recent.hpp"
#include "envelope/position.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace foz::aggregator {

struct channel {
    channel(const directory& names, std::size_t recent_bytes_max, std::uint64_t position_entries,
            std::chrono::milliseconds position_interval)
        : heard(names), recent(recent_bytes_max), positions(position_entries, position_interval) {}

    audience heard;
    recent_entries recent;                    // durable channels
    std::optional<envelope::position> where;  // of the entry that was dispatched last
    std::uint64_t entries = 0;                // that were dispatched
    position_schedule positions;              // durable channels
    // Where a service's answers go; empty while a volatile channel has no queue.
    std::string reply_queue;
    std::optional<steady_time> no_service_since;
};

}  // namespace foz::aggregator
