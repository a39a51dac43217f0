// What a client says to the aggregator: one JSON object.
#pragma once

#include "envelope/position.hpp"

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace foz::envelope {

// Limits, each of them answered with an error that names the field. Lengths in octets after unescaping.
inline constexpr std::size_t channels_max = 32;         // in `channel`, and in a `from` that is a map
inline constexpr std::size_t receivers_max = 1'000;     // multicast and direct together
inline constexpr std::size_t receiver_bytes_max = 128;  // a group, client or session:<id>
inline constexpr std::size_t consume_targets_max = 64;  // patterns, see topic.hpp for their length
inline constexpr std::size_t id_bytes_max = 64;         // with the client's id it fits an AMQP short string
inline constexpr std::size_t type_bytes_max = 255;      // AMQP 0-9-1 §4.2.5.3, short string
inline constexpr std::size_t exchange_bytes_max = 127;  // AMQP 0-9-1 §1.1, domain exchange-name
inline constexpr std::size_t token_bytes_max = 16'384;
inline constexpr std::uint64_t expires_ms_max = 30ull * 24 * 3'600'000;  // RabbitMQ ends at 2^32-1
inline constexpr std::uint64_t timeout_ms_max = 24ull * 3'600'000;
inline constexpr std::uint64_t since_ms_max = (1ull << 53) - 1;  // the integers that JavaScript keeps exactly
inline constexpr std::size_t warnings_max = 8;                   // more are left out
inline constexpr std::size_t warning_bytes_max = 64;             // longer names are cut

enum class packet_action : std::uint8_t { consume, publish, leave, cancel, refresh };
std::string_view to_string(packet_action action) noexcept;

enum class ack_mode : std::uint8_t { none, confirmed, answer };
std::string_view to_string(ack_mode mode) noexcept;

struct channel_flag {
    std::string_view name;  // 1 to channel_bytes_max octets; not checked against the channels that there are
    bool on = false;
};

// Absent in JSON is the same as all false and empty.
struct distribution {
    bool broadcast = false;
    std::span<const std::string_view> multicast;  // groups
    std::span<const std::string_view> direct;     // client ids or session:<id>
    bool empty() const noexcept { return !broadcast && multicast.empty() && direct.empty(); }
};

struct resume_from {
    enum class kind : std::uint8_t { now, first, since, at };
    kind what = kind::now;
    std::uint64_t since_ms = 0;  // since: milliseconds since 1970
    position where;              // at
};

struct channel_from {
    std::string_view channel;  // empty when `from` is not a map: it is meant for the one channel of the envelope
    resume_from from;
};

// All views and spans belong to the parser until its next parse(), but `message`, which is a view into the octets that
// were parsed. Strings are unescaped, valid UTF-8, not empty and (but `token`) without control characters; an empty
// view is an absent field.
struct envelope {
    packet_action action = packet_action::consume;
    bool has_channel = false;                          // absent is for a socket that is bound to a channel
    std::span<const channel_flag> channels;            // a string is one flag that is on; every name once
    distribution to;                                   // `distribution`
    std::string_view publish_target;                   // exchange; absent: the default
    std::span<const std::string_view> consume_target;  // patterns that check_pattern() accepts
    std::string_view message = "null";                 // raw JSON, octet for octet, without the white space around it
    bool has_message = false;                          // absent: `message` is the literal null, without padding
    std::string_view id;
    std::string_view type;
    std::string_view topic;  // accepted by check_topic()
    std::optional<std::uint64_t> expires_ms;
    std::optional<std::uint64_t> timeout_ms;
    bool fail_fast = false;
    bool progress = false;
    std::optional<ack_mode> ack;            // absent: the default of protocol.md
    std::span<const channel_from> from;     // empty: now
    std::string_view token;                 // always there in a refresh
    std::span<const std::string> warnings;  // fields nobody knows, at most warnings_max
};

// Ready to be sent: valid UTF-8.
struct error {
    std::string_view code;  // a literal: bad_envelope or unknown_action
    std::string field;      // for example distribution.direct; empty when it is the envelope itself
    std::string text;       // for people
    std::string id{};       // of the envelope, where it has one that is right: the sender looks for it
};

// Reusable; one for each shard, not thread-safe.
class parser {
public:
    parser();
    ~parser();
    parser(parser&&) noexcept;
    parser& operator=(parser&&) noexcept;

    // `data` is one valid JSON value with at least 64 readable octets behind it, as primus::packet::data is. (Octets
    // that are not valid JSON do no harm, but are not always noticed: only what is needed is looked at, and nothing
    // inside `message`.) A field given twice is an error: which one is meant can't be known. The result is valid until
    // the next parse() and as long as `data`.
    std::expected<const envelope*, error> parse(std::string_view data);

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace foz::envelope
