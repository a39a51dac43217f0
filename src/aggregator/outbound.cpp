#include "aggregator/outbound.hpp"

#include "base/json.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "ws/codec/writer.hpp"

#include <charconv>

namespace foz::aggregator {
namespace {

// Streams know no expiration, so it is counted from the message's own timestamp (seconds).
bool expired(const amqp::basic_properties& properties, wall_time now) {
    if (!properties.expiration || !properties.timestamp) return false;
    std::uint64_t life_ms = 0;
    const std::string& text = *properties.expiration;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), life_ms);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    return static_cast<std::uint64_t>(unix_ms(now).count()) > *properties.timestamp * 1000 + 999 + life_ms;
}

shared_octets text_frame(const envelope::message_event& event) {
    std::string json;
    envelope::append(json, event);
    auto frame = std::make_shared<std::string>();
    frame->reserve(json.size() + 10);
    ws::append_frame(*frame, ws::opcode::text, json);
    return frame;
}

std::string_view topic_of(const amqp::delivery& from, std::string_view channel_name) {
    if (from.exchange.empty() || !from.routing_key.starts_with(channel_name)) return {};
    std::string_view rest = from.routing_key.substr(channel_name.size());
    return rest.starts_with('.') ? rest.substr(1) : std::string_view();
}

}  // namespace

std::expected<outbound, drop_reason> make_outbound(const amqp::delivery& from, const outbound_source& source,
                                                   wall_time now) {
    const amqp::basic_properties& properties = from.properties;
    if (expired(properties, now)) return std::unexpected(drop_reason::expired);
    if (!is_json(from.body)) return std::unexpected(drop_reason::not_json);

    static const amqp::table no_headers;
    const amqp::table& headers = properties.headers ? *properties.headers : no_headers;
    const auto* const wide = headers.find(contract::header_broadcast);
    const auto broadcast = amqp::as_bool(wide);
    const auto groups = contract::parse_receivers(headers.find(contract::header_multicast));
    const auto clients = contract::parse_receivers(headers.find(contract::header_direct));
    if ((wide && !broadcast) || !groups || !clients) return std::unexpected(drop_reason::bad_header);

    outbound made{.channel = source.channel, .durable = source.durable};
    made.topic = topic_of(from, source.channel_name);
    const std::string message_id = properties.message_id.value_or("");
    if (source.offset)
        made.where = envelope::position{.offset = *source.offset, .check = envelope::check_of(message_id, from.body)};

    envelope::message_event event{.channel = source.channel_name, .topic = made.topic, .where = made.where};
    const std::string type = properties.type.value_or("");
    event.type = type;
    event.id = message_id;
    event.message = from.body;
    if (!clients->empty()) {
        event.how = envelope::via::direct;
        made.routes.push_back({event.how, *clients, text_frame(event)});
    }
    for (const std::string& group : *groups) {
        event.how = envelope::via::multicast;
        event.group = group;
        made.routes.push_back({event.how, {group}, text_frame(event)});
    }
    if (broadcast.value_or(false)) {
        event.how = envelope::via::broadcast;
        event.group = {};
        made.routes.push_back({event.how, {}, text_frame(event)});
    }
    if (!made.routes.empty()) return made;

    auto correlation = contract::parse_correlation(properties.correlation_id.value_or(""));
    if (!correlation) return std::unexpected(drop_reason::no_receiver);
    made.answer = outbound_answer{.to = std::move(*correlation), .body = std::string(from.body)};
    if (const auto code = amqp::as_string(headers.find(contract::header_error))) made.answer->error_code = *code;
    made.answer->from_us = type.starts_with(contract::reserved_type_prefix);
    return made;
}

}  // namespace foz::aggregator
