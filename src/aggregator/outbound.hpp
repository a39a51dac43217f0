// One message on its way from a service to clients: decoded once, encoded once, read by every shard.
#pragma once

#include "amqp/conn/channel.hpp"
#include "base/clock.hpp"
#include "base/frame.hpp"
#include "contract/channel_settings.hpp"
#include "contract/correlation.hpp"
#include "envelope/events.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::aggregator {

// What comes back to one request. Only the socket that asked knows what else belongs to it, so it encodes the frame.
struct outbound_answer {
    enum class kind : std::uint8_t {
        answer,
        service_error,  // code is the service's own
        error,          // raised by the system; code is one of spec/codes.json
        taken,          // a service has begun to work on it
        extend,         // the caller shall wait until `deadline`
        done,           // a service has finished without an answer
    };

    contract::correlation to;
    kind what = kind::answer;
    std::string body;  // JSON; for bad_answer what is wrong, in words
    std::string code;
    std::uint64_t attempt = 1;           // taken
    std::chrono::milliseconds deadline;  // extend: since 1970
};

// A service asks one client; the first of its sockets that answers wins.
struct outbound_question {
    std::string id;  // primus-responder's requestId, the same for every socket that is asked
    std::string reply_to;
    std::string correlation_id;
    wall_time expires;
};

struct outbound_route {
    envelope::via how = envelope::via::broadcast;
    std::vector<std::string> receivers;  // clients and "session:<id>", or one group; none for a broadcast
    shared_octets frame;                 // a whole WebSocket text frame
};

// One entry of a channel. Immutable once made; shared between shards. Without routes and answer it reaches nobody, but
// it has its place in the stream all the same.
struct outbound {
    std::size_t channel = 0;  // in the settings
    bool durable = true;
    std::string topic;
    std::optional<envelope::position> where;
    std::uint64_t timestamp_s = 0;       // since 1970; 0: not said
    std::uint64_t end_of_life_ms = 0;    // since 1970; 0: it does not expire
    std::vector<outbound_route> routes;  // direct, multicast, broadcast: the order of preference
    std::optional<outbound_answer> answer;
    std::optional<outbound_question> question;  // goes with the one direct route

    std::size_t bytes() const noexcept;  // about what it occupies
};

using shared_outbound = std::shared_ptr<const outbound>;

// Why a message reaches nobody; each has its counter.
enum class drop_reason { not_json, expired, no_receiver, bad_header, not_utf8, ours };
// For people; empty when nobody needs to hear of it.
std::string_view to_text(drop_reason reason) noexcept;

struct outbound_source {
    std::size_t channel = 0;
    std::string_view channel_name;
    bool durable = true;
    contract::not_json_kind not_json = contract::not_json_kind::drop;
    std::optional<std::uint64_t> offset;  // in its stream
};

struct made_outbound {
    outbound message;
    std::optional<drop_reason> dropped;  // of an answer: message has the error that goes out in its place
};

// Headers win over the correlation_id; a message with neither has no receiver.
made_outbound make_outbound(const amqp::delivery& from, const outbound_source& source, wall_time now);

}  // namespace foz::aggregator
