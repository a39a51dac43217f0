// What really happened: faults by what was being resumed when they struck, operations, and what they met.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace foz::sim {

enum class fault : std::uint8_t {
    kill_aggregator,
    stop_aggregator,
    drain_aggregator,
    kill_service,
    stop_service,
    kill_broker,
    stop_broker,
    cut_client,
    half_open_client,
    stall_client,
    slow_reader,
    stop_client,
    cut_broker_link,
    half_open_broker_link,
    stall_broker_link,
    refuse_publishes,
    hold_confirms,
    hold_deliveries,
    block_publishers,
    recreate_stream,
    pass_retention,
    large_entry,
    burst,
};
inline constexpr std::size_t faults_count = 23;
std::string_view to_string(fault which) noexcept;

// Of resume_cursor, and one for "nobody resumes".
inline constexpr std::size_t resume_states = 8;
std::string_view resume_state_name(std::size_t state) noexcept;

struct coverage {
    std::array<std::array<std::uint64_t, resume_states>, faults_count> struck{};
    std::map<std::string, std::uint64_t> operations;
    std::map<std::string, std::uint64_t> met;  // everything else that is worth counting

    void add(const coverage& other);
    // A table, and what never happened.
    std::string describe() const;
};

}  // namespace foz::sim
