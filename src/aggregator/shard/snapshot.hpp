// All counters of an aggregator at one time, for whoever shows them.
#pragma once

#include "aggregator/shard/aggregator.hpp"

#include <string>
#include <vector>

namespace foz::aggregator {

// A connection to the broker.
struct link_snapshot {
    explicit link_snapshot(const amqp::client& from)
        : counters(from.counters()), connected(from.connected()), blocked(from.blocked()) {}

    amqp::client_counters counters;
    bool connected;
    bool blocked;
};

struct publisher_snapshot {
    amqp::publisher_counters counters;
    std::size_t pending = 0;  // not confirmed yet
};

struct shard_snapshot {
    shard_snapshot(gateway& way, const ws::server& server);

    hub_counters counters;
    ws::server_counters accepted;
    std::size_t connections = 0;  // sockets, those included that only speak HTTP
    std::size_t sessions = 0;
    std::size_t requests = 0;  // that wait for an answer
    net::shard_probe loop;
    std::size_t mailbox_octets = 0;
    std::size_t queued_octets = 0;  // for all sockets of the shard
    link_snapshot publish;
    std::vector<publisher_snapshot> publishers;  // one for each channel
};

struct snapshot {
    // Empty when it is ready; else why it is not.
    std::string not_ready;
    aggregator_counters counters;
    link_snapshot consume;
    link_snapshot streams;
    link_snapshot own;
    std::vector<std::string> channels;
    std::vector<shard_snapshot> shards;
};

}  // namespace foz::aggregator
