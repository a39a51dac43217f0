// What the aggregator says to clients: one JSON object each, in the order in which the members are declared. Absent
// (empty, nullopt) members are left out unless it says otherwise. Strings must be valid UTF-8; `message` is one valid
// JSON value that is spliced octet for octet. append() appends the object, not yet framed for Primus' responder or a
// WebSocket.
#pragma once

#include "envelope/position.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace foz::envelope {

enum class via : std::uint8_t { broadcast, multicast, direct };
std::string_view to_string(via how) noexcept;

// Nothing in it depends on the receiver: encode once, share with all.
struct message_event {
    std::string_view channel;
    via how = via::broadcast;  // "via"
    std::string_view topic;
    std::string_view group;
    std::string_view type;
    std::string_view id;
    std::optional<position> where;  // "position"
    std::string_view message;       // raw JSON, always written; empty is null
};
void append(std::string& out, const message_event& event);
// The same but for its end, which is `message` and a closing brace: what comes before a body that many events share.
void append_head(std::string& out, const message_event& event);

// What a session hears of a channel after a consume or leave.
struct consuming_channel {
    std::string_view name;
    std::span<const std::string_view> topics;  // always written; empty is all
    std::span<const std::string_view> groups;  // always written
    std::optional<position> where;             // "position"
};
struct consuming_event {
    std::string_view id;
    std::span<const consuming_channel> channels;  // always written, an object with the names as keys
    std::span<const std::string> warnings;
};
void append(std::string& out, const consuming_event& event);

struct receipt_event {
    std::string_view id;
    std::optional<std::uint64_t> frame;  // the n-th frame of this socket, for what had no id
    std::span<const std::string> warnings;
};
void append(std::string& out, const receipt_event& event);

// One of many answers to a request, before its `answer`.
struct part_event {
    std::string_view channel;
    std::string_view id;
    std::uint64_t attempt = 1;      // always written
    std::uint64_t seq = 0;          // always written
    std::optional<position> where;  // "position"
    std::string_view message;       // raw JSON, always written
};
void append(std::string& out, const part_event& event);

struct answer_event {
    std::string_view id;
    std::string_view message;  // raw JSON, always written; empty is null
    std::span<const std::string> warnings;
};
void append(std::string& out, const answer_event& event);

// Written as {"event":"error","error":{…}}.
struct error_event {
    std::string_view code;     // always written
    std::string_view message;  // text for people, always written
    bool retryable = false;    // always written
    std::optional<std::uint64_t> retry_after_ms;
    std::string_view field;
    std::string_view id;
    std::optional<std::uint64_t> frame;
    std::string_view dead_letter;  // the message id under which it is kept
    std::string_view reason;       // of bad_token: why
    // An error that a service raised: its own code, and its body as raw JSON, spliced octet for octet.
    std::string_view service_code;
    std::string_view service;
};
void append(std::string& out, const error_event& event);

// So that a quiet client does not fall behind.
struct position_event {
    std::string_view channel;
    position where;  // "position"
};
void append(std::string& out, const position_event& event);

enum class gap_cause : std::uint8_t { retention, recreated, too_far, slow, too_large, lost };
inline constexpr std::size_t gap_causes = 6;
std::string_view to_string(gap_cause cause) noexcept;

struct gap_event {
    std::string_view channel;
    gap_cause cause = gap_cause::retention;
    std::optional<position> where;  // "position": after it the channel goes on
};
void append(std::string& out, const gap_event& event);

enum class progress_state : std::uint8_t { confirmed, taken, retrying, done, dead_lettered };
std::string_view to_string(progress_state state) noexcept;

struct progress_event {
    std::string_view id;
    progress_state state = progress_state::confirmed;
    std::optional<std::uint64_t> attempt;  // retrying: the attempt that comes next, from 2
};
void append(std::string& out, const progress_event& event);

// What a client's token grants on a channel, as topic patterns.
struct granted_channel {
    std::string_view name;
    std::span<const std::string> consume;
    std::span<const std::string> publish;
    std::span<const std::string> request;
};

// The client's token ends then: time for another one. After a refresh, also what is allowed now.
struct auth_event {
    std::string_view id;
    std::uint64_t expires_in_ms = 0;  // always written
    std::span<const granted_channel> channels;
    std::span<const std::string> groups;  // written when there are channels
};
void append(std::string& out, const auth_event& event);

// Come back in so many milliseconds.
struct drain_event {
    std::uint64_t retry_after_ms = 0;
};
void append(std::string& out, const drain_event& event);

// Only for those who ask (hello=1). All of it is always written, the limits as an object "limits".
struct welcome_event {
    std::string_view client;
    std::string_view session;
    std::uint64_t frame_bytes_max = 0;
    std::uint64_t channels_max = 0;
    std::uint64_t receivers_max = 0;
    std::uint64_t consume_targets_max = 0;
};
void append(std::string& out, const welcome_event& event);

}  // namespace foz::envelope
