// A delivery of a stream, as a cursor sees it.
#pragma once

#include "amqp/codec/publication.hpp"
#include "amqp/conn/channel.hpp"
#include "base/clock.hpp"
#include "contract/stream_cursor.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace foz::aggregator {

// Nothing when it does not come from a stream.
std::optional<std::uint64_t> stream_offset(const amqp::delivery& message);
contract::delivery_view view_of(const amqp::delivery& message, std::uint64_t offset);
// Of one whose body was skipped.
contract::delivery_view view_of(const amqp::delivery& message, std::uint64_t offset, const amqp::skipped_body& body);

// What tells where the end of a stream is. Through the default exchange, to this stream alone.
amqp::publication stream_marker(const std::string& stream, const std::string& id, wall_time now);

}  // namespace foz::aggregator
