#include "aggregator/feed/decode.hpp"

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "primus/packet.hpp"
#include "spec/codes.hpp"
#include "ws/codec/writer.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <expected>

namespace foz::aggregator {
namespace {

std::optional<std::uint64_t> life_ms(const amqp::basic_properties& properties) {
    if (!properties.expiration) return std::nullopt;
    const std::string& text = *properties.expiration;
    std::uint64_t ms = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return ms;
}

// The last moment that wall_time can hold; what a worker says is not trusted to be before it.
constexpr std::uint64_t latest_ms = static_cast<std::uint64_t>(
    std::chrono::floor<std::chrono::milliseconds>(wall_time::max().time_since_epoch()).count());

// Streams know no expiration, so it is counted from the message's own timestamp, which has only seconds.
std::optional<std::uint64_t> end_of_life_ms(const amqp::basic_properties& properties) {
    const auto life = life_ms(properties);
    if (!life || !properties.timestamp) return std::nullopt;
    const std::uint64_t said_ms = std::min(*properties.timestamp, latest_ms / 1000) * 1000 + 999;
    return std::min(said_ms + std::min(*life, latest_ms), latest_ms);
}

// Longer than any queue keeps a message (RabbitMQ's limit of an expiration).
constexpr std::uint64_t question_life_max_ms = 315'360'000'000;

// From this size on the frames of several routes share the body. Below it one piece is sent faster than two, and the
// copies are small: measured by channel/bench/frame_bench.cpp, at 128 octets two cost 14 % more, at 1 KiB as much, at
// 64 KiB 37 % less.
constexpr std::size_t shared_body_bytes_min = 1024;

// `end` follows `json`: in this frame, or as the tail that all frames of the entry share.
shared_octets text_frame(std::string_view json, std::string_view end, bool end_is_shared) {
    auto frame = std::make_shared<std::string>();
    frame->reserve(json.size() + (end_is_shared ? 0 : end.size()) + 10);
    ws::append_frame_header(*frame, ws::opcode::text, json.size() + end.size());
    *frame += json;
    if (!end_is_shared) *frame += end;
    return frame;
}

std::string_view topic_of(const amqp::delivery& from, std::string_view channel_name) {
    if (from.exchange.empty() || !from.routing_key.starts_with(channel_name)) return {};
    std::string_view rest = from.routing_key.substr(channel_name.size());
    return rest.starts_with('.') ? rest.substr(1) : std::string_view();
}

// What the headers say about receivers.
struct addressing {
    bool broadcast = false;
    std::vector<std::string> groups;
    std::vector<std::string> clients;
    bool empty() const { return !broadcast && groups.empty() && clients.empty(); }
};

std::optional<addressing> read_addressing(const amqp::table& headers) {
    const auto* const wide = headers.find(contract::header_broadcast);
    const auto broadcast = amqp::as_bool(wide);
    auto groups = contract::parse_receivers(headers.find(contract::header_multicast));
    auto clients = contract::parse_receivers(headers.find(contract::header_direct));
    if ((wide && !broadcast) || !groups || !clients) return std::nullopt;
    return addressing{broadcast.value_or(false), std::move(*groups), std::move(*clients)};
}

// A message with a reply_to is a question to exactly one client, with an end. Nothing: it is not well made.
std::optional<entry_question> read_question(const amqp::basic_properties& properties, const addressing& to,
                                            std::string_view body) {
    const auto end = end_of_life_ms(properties);
    if (to.broadcast || !to.groups.empty() || to.clients.size() != 1 || !end ||
        properties.correlation_id.value_or("").empty())
        return std::nullopt;
    entry_question asked{.reply_to = *properties.reply_to, .correlation_id = *properties.correlation_id};
    asked.expires = wall_time(std::chrono::milliseconds(*end));
    asked.life = std::chrono::milliseconds(std::min(*life_ms(properties), question_life_max_ms));
    // The same when it is published again, on every aggregator. Of all that tells two questions apart: a worker may ask
    // several clients under one correlation, and count from 1 again when it was started again.
    const std::string identity = asked.reply_to + '\n' + asked.correlation_id + '\n' + std::to_string(*end) + '\n' +
                                 to.clients.front() + '\n' + properties.message_id.value_or(std::string(body));
    asked.id = "foz-" + base64url(sha256(identity).substr(0, 16));
    return asked;
}

void add_routes(entry& made, envelope::message_event& event, addressing to) {
    const std::size_t routes = !to.clients.empty() + to.groups.size() + to.broadcast;
    std::string end(event.message);
    end += '}';
    if (routes > 1 && event.message.size() >= shared_body_bytes_min)
        made.tail = std::make_shared<const std::string>(end);
    std::string json;
    const auto add = [&](envelope::via how, std::vector<std::string> receivers) {
        event.how = how;
        json.clear();
        envelope::append_head(json, event);
        made.routes.push_back({how, std::move(receivers), text_frame(json, end, made.tail != nullptr)});
    };
    if (made.question) {  // one direct route
        std::string data, request;
        event.how = envelope::via::direct;
        envelope::append(data, event);
        primus::append_request(request, made.question->id, data);
        made.routes.push_back({event.how, std::move(to.clients), text_frame(request, {}, false)});
        return;
    }
    if (!to.clients.empty()) add(envelope::via::direct, std::move(to.clients));
    for (const std::string& group : to.groups) {
        event.group = group;
        add(envelope::via::multicast, {group});
    }
    event.group = {};
    if (to.broadcast) add(envelope::via::broadcast, {});
}

// Tells how a request fares, and leaves it open.
bool is_sign_of_life(std::string_view type) {
    return type == contract::type_taken || type == contract::type_extend || type == contract::type_done;
}

std::expected<entry_answer, drop_reason> read_sign_of_life(contract::correlation to, std::string_view type,
                                                           const amqp::table& headers) {
    using what = entry_answer::kind;
    entry_answer made{.to = std::move(to), .what = what::done, .deadline = {}};
    if (type == contract::type_taken) {
        const auto* const said = headers.find(contract::header_attempt);
        const auto attempt = said ? amqp::as_int64(said) : 1;
        if (!attempt) return std::unexpected(drop_reason::bad_header);
        made.what = what::taken;
        made.attempt = static_cast<std::uint64_t>(std::max<std::int64_t>(1, *attempt));
    }
    if (type == contract::type_extend) {
        const auto until = amqp::as_int64(headers.find(contract::header_deadline));
        if (!until) return std::unexpected(drop_reason::bad_header);
        made.what = what::extend;
        made.deadline =
            std::chrono::milliseconds(std::clamp<std::int64_t>(*until, 0, static_cast<std::int64_t>(latest_ms)));
    }
    return made;
}

// `body`: nothing when it has to be JSON and is not.
std::expected<entry_answer, drop_reason> read_answer(contract::correlation to, std::string_view type,
                                                     const amqp::table& headers, std::optional<std::string_view> body) {
    using what = entry_answer::kind;
    if (!body) return std::unexpected(drop_reason::not_json);
    if (is_sign_of_life(type)) return read_sign_of_life(std::move(to), type, headers);
    entry_answer made{.to = std::move(to), .body = std::string(*body), .deadline = {}};
    if (const auto* const error = headers.find(contract::header_error)) {
        // An error whose code can't be read must not pass for a good answer.
        const auto code = amqp::as_string(error);
        if (!code) return std::unexpected(drop_reason::bad_header);
        if (!is_utf8(*code)) return std::unexpected(drop_reason::not_utf8);
        made.what = what::service_error;
        made.code = *code;
    }
    if (type == contract::type_part) {
        const auto attempt = amqp::as_int64(headers.find(contract::header_attempt));
        const auto seq = amqp::as_int64(headers.find(contract::header_seq));
        if (!attempt || *attempt < 1 || !seq || *seq < 0) return std::unexpected(drop_reason::bad_header);
        made.what = what::part;
        made.attempt = static_cast<std::uint64_t>(*attempt);
        made.seq = static_cast<std::uint64_t>(*seq);
    }
    if (type == contract::type_error) {
        made.what = what::error;
        const auto kept = amqp::as_string(headers.find(contract::header_dead_letter));
        if (kept && is_utf8(*kept)) made.dead_letter = *kept;
    }
    return made;
}

// Instead of an answer that can't be passed on: who asked hears it at once, and does not wait for what never comes.
entry_answer bad_answer(contract::correlation to, drop_reason why) {
    return {.to = std::move(to),
            .what = entry_answer::kind::error,
            .body = std::string(to_text(why)),
            .code = std::string(spec::to_string(spec::error_code::bad_answer)),
            .deadline = {}};
}

}  // namespace

std::string_view to_text(drop_reason reason) noexcept {
    switch (reason) {
        case drop_reason::not_json:
            return "the body is not a JSON value";
        case drop_reason::bad_header:
            return "a foz-* header has the wrong type, or a question to a client lacks its one receiver, its "
                   "correlation_id, its expiration or its timestamp";
        case drop_reason::not_utf8:
            return "its type, message_id, routing key or a foz-* header is not UTF-8";
        case drop_reason::no_receiver:
            return "neither foz-* headers nor a correlation_id of ours";
        case drop_reason::too_large:
            return "its content is larger than this aggregator reads";
        case drop_reason::expired:
        case drop_reason::ours:
            return {};
    }
    return {};
}

decoded decode(const amqp::delivery& from, const decode_source& source) {
    const amqp::basic_properties& properties = from.properties;
    const std::string message_id = properties.message_id.value_or("");
    decoded result{.message = {.channel = source.channel, .durable = source.durable}};
    entry& made = result.message;
    const auto dropped = [&](drop_reason why) {
        result.dropped = why;
        return std::move(result);
    };
    made.topic = topic_of(from, source.channel_name);
    made.timestamp_s = properties.timestamp.value_or(0);
    if (source.offset)
        made.where = envelope::position{.offset = *source.offset, .check = envelope::check_of(message_id, from.body)};

    const std::string type = properties.type.value_or("");
    if (type == contract::type_marker) return dropped(drop_reason::ours);
    made.end_of_life_ms = end_of_life_ms(properties).value_or(0);
    std::string encoded;
    std::optional<std::string_view> body = from.body;
    if (!is_json(from.body)) {
        body.reset();
        if (source.not_json == contract::not_json_kind::base64) {
            append_json_string(encoded, base64(from.body));
            body = encoded;
        }
    }
    static const amqp::table no_headers;
    const amqp::table& headers = properties.headers ? *properties.headers : no_headers;
    auto to = read_addressing(headers);
    if (!to) return dropped(drop_reason::bad_header);
    if (to->empty()) {
        const auto correlation = contract::parse_correlation(properties.correlation_id.value_or(""));
        if (!correlation) return dropped(body ? drop_reason::no_receiver : drop_reason::not_json);
        if (!is_utf8(correlation->request) || !is_utf8(correlation->id)) return dropped(drop_reason::not_utf8);
        auto answer = read_answer(*correlation, type, headers, body);
        if (answer) {
            made.answer = *std::move(answer);
            return result;
        }
        if (!is_sign_of_life(type)) made.answer = bad_answer(*correlation, answer.error());
        return dropped(answer.error());
    }
    if (!body) return dropped(drop_reason::not_json);
    // Short strings are UTF-8 (AMQP 0-9-1 §4.2.5.3), which no broker checks. In a text frame anything else would end
    // the socket of everybody who gets it (RFC 6455 §8.1), and again at each resume.
    if (!is_utf8(type) || !is_utf8(message_id) || !is_utf8(made.topic) || !std::ranges::all_of(to->groups, is_utf8))
        return dropped(drop_reason::not_utf8);
    if (properties.reply_to) {
        made.question = read_question(properties, *to, from.body);
        if (!made.question) return dropped(drop_reason::bad_header);
    }
    envelope::message_event event{.channel = source.channel_name, .topic = made.topic, .where = made.where};
    event.type = type;
    event.id = message_id;
    event.message = *body;
    add_routes(made, event, std::move(*to));
    return result;
}

entry decode_skipped(const amqp::delivery& from, const decode_source& source,
                     const std::optional<envelope::position>& where) {
    const amqp::basic_properties& properties = from.properties;
    entry made{.channel = source.channel,
               .durable = source.durable,
               .where = where,
               .timestamp_s = properties.timestamp.value_or(0),
               .too_large = true};
    const auto to = read_addressing(properties.headers ? *properties.headers : amqp::table());
    auto correlation = contract::parse_correlation(properties.correlation_id.value_or(""));
    if (!to || !to->empty() || !correlation || !is_utf8(correlation->request) || !is_utf8(correlation->id)) return made;
    made.too_large = false;
    if (!is_sign_of_life(properties.type.value_or("")))
        made.answer = bad_answer(*std::move(correlation), drop_reason::too_large);
    return made;
}

}  // namespace foz::aggregator
