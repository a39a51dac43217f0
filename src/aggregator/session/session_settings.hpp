// What sessions are told: the channels, and the limits that a client meets.
#pragma once

#include "aggregator/session/client_limits.hpp"
#include "contract/channel_settings.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace foz::aggregator {

struct session_settings {
    std::vector<contract::channel_settings> channels = contract::default_channels();

    // Exchanges that a client's publish_target may name.
    std::vector<std::string> publish_targets{"INBOUND"};

    std::chrono::milliseconds ping_interval = std::chrono::seconds(30);
    std::chrono::milliseconds request_timeout = std::chrono::seconds(30);  // of a request that names none
    std::chrono::milliseconds publish_timeout = std::chrono::seconds(10);  // a publish waits so long for its confirm

    // Before a client's token ends it is told so, by so long; of a token of short life, by a quarter of that.
    std::chrono::milliseconds refresh_notice = std::chrono::seconds(60);
    // Clients have names of their own, from tokens or trusted proxies: no group may be one of them.
    bool named_clients = false;

    std::size_t message_bytes_max = 256 * 1024;  // of a client's frame
    std::size_t queue_bytes_max = 1024 * 1024;   // waiting for a socket that takes nothing; then it is slow
    client_limits client;                        // of one that has none of its own

    // For clients that come back: recent entries of each durable channel that are kept in memory, and how many entries
    // of its stream one resume may read before it is told of a gap instead.
    std::size_t recent_bytes_max = 16 * 1024 * 1024;
    std::size_t resume_entries_max = 100'000;
    // A session that can resume is told its position at least so often, or after so many entries of the channel, at
    // most a tenth of resume_entries_max.
    std::chrono::milliseconds position_interval = std::chrono::seconds(30);
    std::size_t position_entries = 10'000;
    // What an expiration is believed to be off by when an older message is replayed: publishers have clocks of their
    // own.
    std::chrono::milliseconds clock_tolerance = std::chrono::seconds(5);
    // On each shard: answers that sockets may not have heard; a quarter of it more for clients that are away, and for
    // outcomes of messages with an id.
    std::size_t kept_answer_bytes_max = 64 * 1024 * 1024;
    // Outcomes of messages with an id that are remembered for resends, on each shard.
    std::size_t outcomes_max = 10'000;
    std::chrono::milliseconds drain_spread = std::chrono::seconds(2);  // clients are sent away over so long
};

}  // namespace foz::aggregator
