// One message on its way from a service to clients: decoded once, encoded once, read by every shard. No I/O.
#pragma once

#include "base/clock.hpp"
#include "base/frame.hpp"
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
struct entry_answer {
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
struct entry_question {
    std::string id;  // primus-responder's requestId, the same for every socket that is asked
    std::string reply_to;
    std::string correlation_id;
    wall_time expires;
};

struct entry_route {
    envelope::via how = envelope::via::broadcast;
    std::vector<std::string> receivers;  // clients and "session:<id>", or one group; none for a broadcast
    shared_octets frame;                 // a whole WebSocket text frame
};

// One entry of a channel. Immutable once made; shared between shards. Without routes and answer it reaches nobody, but
// it has its place in the stream all the same.
struct entry {
    std::size_t channel = 0;  // in the settings
    bool durable = true;
    std::string topic;
    std::optional<envelope::position> where;
    std::uint64_t timestamp_s = 0;     // since 1970; 0: not said
    std::uint64_t end_of_life_ms = 0;  // since 1970; 0: it does not expire
    std::vector<entry_route> routes;   // direct, multicast, broadcast: the order of preference
    std::optional<entry_answer> answer;
    std::optional<entry_question> question;  // goes with the one direct route

    std::size_t bytes() const noexcept;  // about what it occupies
};

using entry_ref = std::shared_ptr<const entry>;

// For replays: what is live is delivered whatever its publisher's clock says, which ours differs from by up to
// `tolerance`.
inline bool has_expired(const entry& what, wall_time now, std::chrono::milliseconds tolerance) {
    if (what.end_of_life_ms == 0) return false;
    const auto earliest = (unix_ms(now) - tolerance).count();
    return earliest > 0 && static_cast<std::uint64_t>(earliest) > what.end_of_life_ms;
}

}  // namespace foz::aggregator
