#include "aggregator/feed/stream_delivery.hpp"

#include "contract/names.hpp"
#include "envelope/position.hpp"

namespace foz::aggregator {

std::optional<std::uint64_t> stream_offset(const amqp::delivery& message) {
    const auto& headers = message.properties.headers;
    const auto offset = amqp::as_int64(headers ? headers->find("x-stream-offset") : nullptr);
    if (!offset || *offset < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*offset);
}

contract::delivery_view view_of(const amqp::delivery& message, std::uint64_t offset) {
    const auto& id = message.properties.message_id;
    const std::string_view message_id = id ? std::string_view(*id) : std::string_view();
    return {.at = {.offset = offset, .check = envelope::check_of(message_id, message.body)},
            .message_id = message_id,
            // An answer goes through the default exchange, as any RPC. One that nobody waited for any more is said
            // again when its request is sent again; who has it already ignores it.
            .repeatable = !message.exchange.empty(),
            .marker = message.properties.type == contract::type_marker,
            .octets = message.body.size()};
}

contract::delivery_view view_of(const amqp::delivery& message, std::uint64_t offset, const amqp::skipped_body& body) {
    contract::delivery_view view = view_of(message, offset);
    view.at.check = body.check;
    view.too_large = true;
    return view;
}

amqp::publication stream_marker(const std::string& stream, const std::string& id, wall_time now) {
    amqp::publication marker;
    marker.routing_key = stream;
    marker.properties.message_id = id;
    marker.properties.type = contract::type_marker;
    marker.properties.delivery_mode = 2;
    marker.properties.timestamp = static_cast<std::uint64_t>(unix_ms(now).count() / 1000);
    marker.body = "null";
    return marker;
}

}  // namespace foz::aggregator
