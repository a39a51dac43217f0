// One message on its way from a service to clients: decoded once, encoded once, read by every shard.
#pragma once

#include "amqp/conn/channel.hpp"
#include "base/clock.hpp"
#include "base/frame.hpp"
#include "contract/correlation.hpp"
#include "envelope/events.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::aggregator {

// The answer to one request. Only the socket that asked knows what else belongs to it, so it encodes the frame.
struct outbound_answer {
    contract::correlation to;
    std::string body;        // JSON
    std::string error_code;  // empty: a good answer
    bool from_us = false;    // an error that the system raised, not the service
};

struct outbound_route {
    envelope::via how = envelope::via::broadcast;
    std::vector<std::string> receivers;  // clients and "session:<id>", or one group; none for a broadcast
    shared_octets frame;                 // a whole WebSocket text frame
};

// Immutable once made; shared between shards.
struct outbound {
    std::size_t channel = 0;  // in the settings
    bool durable = true;
    std::string topic;
    std::optional<envelope::position> where;
    std::vector<outbound_route> routes;  // direct, multicast, broadcast: the order of preference
    std::optional<outbound_answer> answer;
};

// Why a message reaches nobody; each has its counter.
enum class drop_reason { not_json, expired, no_receiver, bad_header };

struct outbound_source {
    std::size_t channel = 0;
    std::string_view channel_name;
    bool durable = true;
    std::optional<std::uint64_t> offset;  // in its stream
};

// Headers win over the correlation_id; a message with neither has no receiver.
std::expected<outbound, drop_reason> make_outbound(const amqp::delivery& from, const outbound_source& source,
                                                   wall_time now);

}  // namespace foz::aggregator
