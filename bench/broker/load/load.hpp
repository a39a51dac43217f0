// The load: publishers and consumers on one thread, each on a connection of its own.
#pragma once

#include "client.hpp"
#include "process.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace foz::bench {

struct load_options {
    endpoint server;
    int server_pid = 0;
    unsigned server_core = 0;
    std::string name = "foz-bench";  // of the queues, with a number behind it
    unsigned publishers = 1;
    unsigned consumers = 1;
    unsigned queues = 1;
    bool fanout = false;      // each message goes to every queue, through an exchange; else to one of them
    std::string queue_type;   // quorum, stream; empty: classic
    bool durable = false;     // the queue
    bool persistent = false;  // the messages
    bool confirms = false;
    bool no_ack = false;
    std::uint16_t prefetch = 1000;
    std::uint32_t ack_every = 200;
    std::size_t size = 100;
    std::uint64_t window = 10'000;         // messages that are published and not yet delivered to everyone; 0: no limit
    std::uint64_t confirm_window = 2'000;  // messages of one publisher that are not confirmed
    double warm_up = 0.5;                  // seconds
    double seconds = 2;
    std::uint64_t count = 0;  // so many messages instead of a time: all confirmed, or all consumed without a publisher
    bool keep = false;        // leave the queues and what is in them
};

struct load_result {
    double seconds = 0;
    std::uint64_t published = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t refused = 0;  // basic.nack
    std::uint64_t delivered = 0;
    double server_cpu = 0;  // seconds
    double load_cpu = 0;
    double core_idle = 0;  // of the server's core
    process_memory memory_max;
    process_memory memory_end;
};

// Throws std::runtime_error when the server refuses something or nothing moves for `patience`.
load_result run_load(const load_options& options);

// Seconds from `since` (CLOCK_MONOTONIC) until a durable queue has confirmed its first persistent message. Connects
// until it can.
double first_confirm(const endpoint& server, double since);

}  // namespace foz::bench
