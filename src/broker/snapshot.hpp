// What there is in a broker at one time, for whoever shows it. Values only: it may cross threads.
#pragma once

#include "broker/core/queue.hpp"
#include "broker/front/info.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace foz::broker {

class node;
class server;

struct queue_info {
    std::string vhost;
    std::string name;
    queue_kind kind = queue_kind::classic;
    queue_flags flags;
    amqp::table arguments;
    std::uint64_t ready = 0;  // of a stream: all that can be read
    std::uint64_t unacknowledged = 0;
    std::uint64_t bytes = 0;
    std::size_t consumers = 0;
    queue_counters counters;
};

struct exchange_info {
    std::string vhost;
    std::string name;
    std::string type;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    amqp::table arguments;
};

struct binding_info {
    std::string vhost;
    std::string source;
    bool to_exchange = false;
    std::string destination;
    std::string routing_key;
    amqp::table arguments;
};

struct snapshot {
    std::string version;
    std::vector<std::string> vhosts;
    std::vector<queue_info> queues;
    std::vector<exchange_info> exchanges;  // but the default one
    std::vector<binding_info> bindings;
    std::vector<connection_info> connections;
    std::vector<consumer_info> consumers;
    std::string blocked;            // why publishers wait; empty: they don't
    std::size_t waiting_bytes = 0;  // of messages that are being written
    std::string definitions;        // RabbitMQ's JSON
};

// On the broker's shard. Without version, waiting_bytes and definitions.
snapshot look_at(const node& model, const server& door);

}  // namespace foz::broker
