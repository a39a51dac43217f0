// AMQP deliveries of a channel become entries.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "amqp/conn/channel.hpp"
#include "contract/channel_settings.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace foz::aggregator {

// Why a message reaches nobody; each has its counter.
enum class drop_reason { not_json, expired, no_receiver, bad_header, not_utf8, ours };
// For people; empty when nobody needs to hear of it.
std::string_view to_text(drop_reason reason) noexcept;

struct decode_source {
    std::size_t channel = 0;
    std::string_view channel_name;
    bool durable = true;
    contract::not_json_kind not_json = contract::not_json_kind::drop;
    std::optional<std::uint64_t> offset;  // in its stream
};

struct decoded {
    entry message;
    std::optional<drop_reason> dropped;  // of an answer: message has the error that goes out in its place
};

// Headers win over the correlation_id; a message with neither has no receiver.
decoded decode(const amqp::delivery& from, const decode_source& source, wall_time now);

}  // namespace foz::aggregator
