// One message on its way from a service to clients: decoded once, encoded once, read by every shard. No I/O.
#pragma once

#include "base/clock.hpp"
#include "base/frame.hpp"
#include "contract/correlation.hpp"
#include "envelope/events.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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
        part,           // of an answer that comes in pieces; `answer` ends it
    };

    contract::correlation to;
    kind what = kind::answer;
    std::string body;  // JSON; for bad_answer what is wrong, in words
    std::string code;
    std::string dead_letter;             // error: the message id of what IN_DEAD keeps; empty: it keeps nothing
    std::uint64_t attempt = 1;           // taken, part
    std::uint64_t seq = 0;               // part: its number within the attempt
    std::chrono::milliseconds deadline;  // extend: since 1970
};

// A service asks one client; the first of its sockets that answers wins.
struct entry_question {
    std::string id;  // primus-responder's requestId, the same for every socket that is asked
    std::string reply_to;
    std::string correlation_id;
    wall_time expires;
    std::chrono::milliseconds life{0};  // from when it was asked
};

// A route's WebSocket text frame is `head`, with the entry's `tail` behind it where there is one.
struct entry_route {
    envelope::via how = envelope::via::broadcast;
    std::vector<std::string> receivers;  // clients and "session:<id>", or one group; none for a broadcast
    shared_octets head;
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
    // The end of every route's frame. A large body that goes to many groups stands here once; otherwise each head is a
    // whole frame, and there is no tail.
    shared_octets tail;
    std::optional<entry_answer> answer;
    std::optional<entry_question> question;  // goes with the one direct route
    bool too_large = false;                  // its content was not read: a session that comes by is told of a gap

    std::size_t bytes() const noexcept;  // about what it occupies
    std::size_t frame_bytes(const entry_route& route) const noexcept {
        return route.head->size() + (tail ? tail->size() : 0);
    }
};

using entry_ref = std::shared_ptr<const entry>;

// The frames of one entry as one shard sends them, made when somebody is reached: most entries reach nobody on most
// shards. Receivers come route by route, so only the last route's is kept.
class entry_frames {
public:
    explicit entry_frames(const entry& of) noexcept : entry_(of) {}

    // One piece or two, to be sent one behind the other with nothing between; valid until the next call.
    std::span<const frame_ref> of(const entry_route& route) &;

private:
    const entry& entry_;
    const entry_route* route_ = nullptr;
    std::array<frame_ref, 2> pieces_;
};

// For replays: what is live is delivered whatever its publisher's clock says, which ours differs from by up to
// `tolerance`.
inline bool has_expired(const entry& what, wall_time now, std::chrono::milliseconds tolerance) {
    if (what.end_of_life_ms == 0) return false;
    const auto earliest = (unix_ms(now) - tolerance).count();
    return earliest > 0 && static_cast<std::uint64_t>(earliest) > what.end_of_life_ms;
}

}  // namespace foz::aggregator
