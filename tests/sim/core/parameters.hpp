// What is drawn from the seed: each run is another system under another load.
#pragma once

#include "contract/channel_settings.hpp"
#include "core/random.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace foz::sim {

struct parameters {
    // The system.
    unsigned aggregators = 2;
    unsigned clients = 6;
    unsigned plugin_permille = 600;
    unsigned services_per_channel = 1;
    unsigned same_client_permille = 100;  // a client that shares its name with the one before it
    std::vector<contract::channel_settings> channels;

    // Limits of the product.
    std::size_t recent_bytes_max = 64 * 1024;
    std::size_t resume_entries_max = 1'000;
    std::size_t queue_bytes_max = 64 * 1024;
    std::size_t message_bytes_max = 32 * 1024;
    std::size_t outcomes_max = 1'000;
    std::size_t requests_per_client_max = 100;
    std::size_t ids_max = 1'000;
    std::size_t history_entries = 1'000;
    std::size_t stream_message_bytes_max = 24 * 1024;  // a larger entry is skipped
    std::size_t publish_window = 64;
    std::size_t key_high_mark = 64;
    std::size_t page_entries = 32;
    duration ping_interval{std::chrono::seconds(10)};
    duration position_interval{std::chrono::seconds(10)};
    duration request_timeout{std::chrono::seconds(10)};
    duration publish_timeout{std::chrono::seconds(5)};

    // The broker.
    std::uint64_t retention_bytes = 0;
    std::uint64_t segment_bytes = 4 * 1024;

    // The network.
    duration client_latency_min{}, client_latency_max{};
    duration broker_latency_min{}, broker_latency_max{};
    std::size_t client_window = 32 * 1024;
    std::size_t broker_window = 128 * 1024;
    unsigned split_permille = 100;

    // The load.
    unsigned operations = 200;
    duration operation_pause{std::chrono::milliseconds(50)};  // on the average
    std::size_t body_bytes_max = 200;
    duration work_min{}, work_max{};  // a service takes so long for a message
    unsigned service_crash_permille = 5;
    unsigned faults = 5;
    duration fault_span_max{std::chrono::seconds(10)};

    static parameters draw(rng& from);
    // All of them, for whoever repeats the run.
    std::string describe() const;
};

}  // namespace foz::sim
