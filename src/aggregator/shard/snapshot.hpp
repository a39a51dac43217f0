// All counters of an aggregator at one time, for whoever shows them.
#pragma once

#include "aggregator/shard/aggregator.hpp"

#include <optional>
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
    std::size_t half_open = 0;    // of these, without a request
    std::size_t sessions = 0;
    std::size_t requests = 0;  // that wait for an answer
    net::shard_probe loop;
    std::size_t mailbox_octets = 0;
    std::size_t queued_octets = 0;  // for all sockets of the shard
    std::uint64_t questions_forgotten = 0;
    link_snapshot publish;
    std::vector<publisher_snapshot> publishers;  // one for each channel
};

// What the broker refuses while the rest works.
struct sick_snapshot {
    std::string title;  // "channel chat (OUT_CHAT)"
    std::string link;
    std::string reason;
    std::chrono::seconds since{0};  // so long ago
};

// What is known of the other aggregators.
struct peers_snapshot {
    explicit peers_snapshot(const peers& from);

    peers_counters counters;
    std::size_t alive = 0;
    std::uint64_t given_up = 0;
    std::uint64_t sessions_not_known = 0;
};

// What is read of one channel.
struct feed_snapshot {
    reader_counters live;
    catch_up_counters older;   // of a durable channel
    std::size_t readings = 0;  // sessions that older entries are read for
};

struct snapshot {
    // Empty when it is ready; else why it is not.
    std::string not_ready;
    std::vector<sick_snapshot> sick;
    aggregator_counters counters;
    link_snapshot consume;
    link_snapshot streams;
    link_snapshot own;
    dispatcher_counters dispatched;
    dead_notices_counters notices;
    peers_snapshot others;
    control_counters control;
    std::optional<connect_counters> connect;  // nothing: no service is asked
    contract::topology_counters topology;
    std::vector<std::string> channels;
    std::vector<feed_snapshot> feeds;  // one for each channel
    std::vector<shard_snapshot> shards;
};

}  // namespace foz::aggregator
