#pragma once

#include "envelope/events.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace foz::aggregator {

// Of one shard.
struct hub_counters {
    void count_gap(envelope::gap_cause why) noexcept { ++gaps[static_cast<std::size_t>(why)]; }

    std::uint64_t frames_in = 0;         // data frames from clients
    std::uint64_t frames_refused = 0;    // of these, answered with an error
    std::uint64_t overloaded = 0;        // of the errors: a limit was reached
    std::uint64_t rate_limited = 0;      // of the errors: a client published faster than it may
    std::uint64_t reading_slowed = 0;    // times that a socket was not read because its client had sent too fast
    std::uint64_t flooders_closed = 0;   // sockets whose client went on so for too long
    std::uint64_t shed = 0;              // sockets closed because memory was needed at once
    std::uint64_t too_many_sockets = 0;  // of one client: refused for now
    std::uint64_t published = 0;
    std::uint64_t deliveries = 0;          // messages to sockets
    std::uint64_t deliveries_dropped = 0;  // of volatile channels, to slow sockets
    std::uint64_t answers = 0;
    std::uint64_t answers_again = 0;  // told on another socket, since the one before may not have heard them
    std::uint64_t resends = 0;        // messages whose id was known
    std::uint64_t cancelled = 0;      // requests, by their clients
    std::uint64_t resumes = 0;
    std::uint64_t expired = 0;                               // messages that a replay passed over
    std::array<std::uint64_t, envelope::gap_causes> gaps{};  // told to sessions, by cause
    std::uint64_t positions = 0;                             // told to sessions
    std::uint64_t slow_closed = 0;
    std::uint64_t silent_closed = 0;     // no sign of life for a whole ping interval
    std::uint64_t refused_for_good = 0;  // sockets that could not be used as they were
    std::uint64_t refused_for_now = 0;   // sockets that came when nobody was taken
    std::uint64_t sent_away = 0;         // closed because the aggregator stops
    std::uint64_t sent_away_early = 0;   // of these, at the drain's limit, with an answer or a receipt still to come
    std::uint64_t reading_paused = 0;    // times that a client was read more slowly because its messages waited
};

}  // namespace foz::aggregator
