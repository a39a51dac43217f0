// What one turn of a shard's loop may take, and what is counted about turns.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace foz::net {

// A turn has these parts: handlers of sockets, mail, sockets that are arriving or going, portions of background work,
// timers, and writes. Each part ends when its share is used up; what is left goes on in the next turn, after the
// sockets had their chance again. One handler, one letter and one step are the smallest unit: nothing interrupts them.
struct turn_limits {
    std::size_t handlers_max = 256;
    std::size_t letters_max = 256;
    std::size_t arrivals_max = 64;
    std::size_t timers_max = 256;
    // Queued for sockets in one turn: then it is written before more is queued.
    std::size_t queued_bytes_max = 8 * 1024 * 1024;
    std::chrono::microseconds handlers{1'000};
    std::chrono::microseconds mail{1'000};
    std::chrono::microseconds arrivals{1'000};
    std::chrono::microseconds portions{1'000};
    std::chrono::microseconds writes{500};
    // The share of one background job in a turn.
    std::chrono::microseconds portion{500};
};

// Octets that wait in a mailbox: above the high mark whoever posts should pause, below the low one it may go on.
struct mailbox_limits {
    std::size_t high_bytes = 8 * 1024 * 1024;
    std::size_t low_bytes = 2 * 1024 * 1024;
};

// Plain counters; read on the shard's thread.
struct shard_probe {
    // Upper bounds of the buckets of turns_by_length; the last bucket has none.
    static constexpr std::array<std::chrono::microseconds, 7> bounds{
        std::chrono::microseconds{500},    std::chrono::microseconds{1'000},  std::chrono::microseconds{2'000},
        std::chrono::microseconds{5'000},  std::chrono::microseconds{10'000}, std::chrono::microseconds{50'000},
        std::chrono::microseconds{250'000}};

    void count_turn(std::chrono::nanoseconds length) {
        ++turns;
        turns_length += length;
        if (length > turn_longest) turn_longest = length;
        std::size_t bucket = 0;
        while (bucket < bounds.size() && length > bounds[bucket]) ++bucket;
        ++turns_by_length[bucket];
    }

    std::uint64_t turns = 0;
    std::uint64_t handlers = 0;
    std::uint64_t letters = 0;
    std::uint64_t stalls = 0;  // the loop did not run for more than shard::stall_min
    std::array<std::uint64_t, bounds.size() + 1> turns_by_length{};
    std::chrono::nanoseconds turns_length{};  // of all turns
    std::chrono::nanoseconds turn_longest{};
    std::chrono::nanoseconds stall_longest{};
};

}  // namespace foz::net
