// AMQP deliveries of a channel become entries.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/feed/drop_reason.hpp"
#include "amqp/conn/channel.hpp"
#include "contract/channel_settings.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace foz::aggregator {

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

// Headers win over the correlation_id; a message with neither has no receiver. What its publisher's clock says has
// expired is decoded as anything else: what is live is delivered, and replays look at end_of_life_ms.
decoded decode(const amqp::delivery& from, const decode_source& source);

// What stands in the place of a message whose body was too large to be read: an answer becomes the error that goes out
// instead, and nobody else has missed anything; anything else is a gap.
entry decode_skipped(const amqp::delivery& from, const decode_source& source,
                     const std::optional<envelope::position>& where);

}  // namespace foz::aggregator
