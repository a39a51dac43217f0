// The names that aggregators, services and the broker agree on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace foz::contract {

// Exchanges, all durable; topic exchanges unless it says something else.
inline constexpr std::string_view inbound_exchange = "INBOUND";    // clients → services
inline constexpr std::string_view outbound_exchange = "OUTBOUND";  // services → clients
inline constexpr std::string_view internal_exchange = "INTERNAL";  // fanout exchange: what aggregators tell each other
inline constexpr std::string_view control_exchange = "CONTROL";    // aggregators → workers, past the queues
inline constexpr std::string_view dead_exchange = "INBOUND.DEAD";  // headers exchange: what was dead-lettered

// A queue of each aggregator's own begins with it: what services answer to foz.connect.
inline constexpr std::string_view connect_prefix = "CONNECT";

// Queues of dead letters: one keeps them for people, one tells their callers.
inline constexpr std::string_view dead_queue = "IN_DEAD";
inline constexpr std::string_view dead_notice_queue = "DEAD_NOTICE";

// Headers, inbound: who, which socket, the sender's wish, the topic, when the caller stops waiting (ms since 1970).
inline constexpr std::string_view header_client = "foz-client";
inline constexpr std::string_view header_session = "foz-session";
inline constexpr std::string_view header_distribution = "foz-distribution";
inline constexpr std::string_view header_topic = "foz-topic";
inline constexpr std::string_view header_deadline = "foz-deadline";
inline constexpr std::string_view header_meta = "foz-meta";  // JSON, as the client's token or a trusted proxy says it

// Headers, outbound: true / groups / client ids or "session:<id>" (both as receivers.hpp writes them) / the code of an
// error.
inline constexpr std::string_view header_broadcast = "foz-broadcast";
inline constexpr std::string_view header_multicast = "foz-multicast";
inline constexpr std::string_view header_direct = "foz-direct";
inline constexpr std::string_view header_error = "foz-error";
inline constexpr std::string_view header_dead_letter = "foz-dead-letter";  // of foz.error: its message id in IN_DEAD

// Inbound: the caller wants to be told foz.taken and foz.done. Outbound, with foz.taken and foz.part: the attempt, from
// 1; with foz.part: its number within the attempt, from 0.
inline constexpr std::string_view header_progress = "foz-progress";
inline constexpr std::string_view header_attempt = "foz-attempt";
inline constexpr std::string_view header_seq = "foz-seq";

// Types of ours. Aggregator → service: may this one come in (body: what it came with, answered as
// identity/connect_answer.hpp says); may this client join this group (body {"group":…}, answered {"allow":true}); a
// session began or ended to hear the channel. Service → caller, sent to reply_to: work has begun; the caller shall
// wait until the new foz-deadline; work has ended without an answer; one of many answers before the last one. To a
// stream: tells an aggregator where its end is. From aggregator to aggregator.
inline constexpr std::string_view type_connect = "foz.connect";
inline constexpr std::string_view type_join = "foz.join";
inline constexpr std::string_view type_opened = "foz.opened";
inline constexpr std::string_view type_closed = "foz.closed";
inline constexpr std::string_view type_taken = "foz.taken";
inline constexpr std::string_view type_extend = "foz.extend";
inline constexpr std::string_view type_done = "foz.done";
inline constexpr std::string_view type_part = "foz.part";
inline constexpr std::string_view type_error = "foz.error";
inline constexpr std::string_view type_marker = "foz.marker";
inline constexpr std::string_view type_peer = "foz.peer";
// Through CONTROL, with the key control_key(channel): nobody waits any more for what the message whose message_id is
// this one's correlation_id would be answered with.
inline constexpr std::string_view type_cancel = "foz.cancel";
inline std::string control_key(std::string_view channel) {
    return std::string(channel) + ".cancel";
}

// Within foz-direct: addresses one socket instead of all sockets of a client.
inline constexpr std::string_view session_prefix = "session:";

// The id of a client without a token begins with it; no token's subject does, and no group.
inline constexpr std::string_view anonymous_prefix = "anon-";

// A message's `type` that begins with this is ours.
inline constexpr std::string_view reserved_type_prefix = "foz.";

// What one outbound message may name in foz-multicast or foz-direct: a content header can't span frames.
inline constexpr std::size_t receivers_limit = 1'000;

// W3C Trace Context.
inline constexpr std::string_view header_traceparent = "traceparent";

}  // namespace foz::contract
