#include "primus/packet.hpp"

#include "base/json.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include <simdjson.h>

namespace foz::primus {
namespace {

namespace dom = simdjson::dom;
namespace ondemand = simdjson::ondemand;

constexpr std::string_view control_prefix = "primus::";
constexpr std::string_view plugin_name = "primus-responder";

// The data of a responder frame that has none (JSON.stringify leaves undefined out), with the padding promised.
constexpr std::array<char, 4 + simdjson::SIMDJSON_PADDING> null_text{'n', 'u', 'l', 'l'};

std::string_view trim(std::string_view text) noexcept {
    constexpr std::string_view white_space = " \t\n\r";  // RFC 8259 §2
    const std::size_t first = text.find_first_not_of(white_space);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

std::optional<std::uint64_t> number(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// `text` begins with control_prefix. Primus' own parser looks for the word between it and the next colon.
packet control_packet(std::string_view text) noexcept {
    const std::string_view rest = text.substr(control_prefix.size());
    constexpr std::string_view ping = "ping::", pong = "pong::", id = "id::";
    if (rest.starts_with(pong)) return {.kind = packet_kind::pong, .ms = number(rest.substr(pong.size())).value_or(0)};
    if (rest.starts_with(ping)) {
        if (const auto ms = number(rest.substr(ping.size()))) return {.kind = packet_kind::ping, .ms = *ms};
    }
    if (rest.starts_with(id)) return {.kind = packet_kind::id};
    return {.kind = packet_kind::unknown_control, .control = text};
}

// The text of a JSON string that needs no parser: printable ASCII without a backslash or a quote within.
std::optional<std::string_view> plain_string(std::string_view json) noexcept {
    if (json.size() < 2 || json.back() != '"') return std::nullopt;
    const std::string_view text = json.substr(1, json.size() - 2);
    const bool plain = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
    return plain ? std::optional(text) : std::nullopt;
}

// How often the keys of the responder plugin occur, and what they hold.
struct responder_keys {
    unsigned plugin = 0, request_id = 0, response_id = 0, data = 0;
    bool ours = false;
    dom::element request_value, response_value;
};

responder_keys find_keys(const dom::object& object) {
    responder_keys keys;
    for (const dom::key_value_pair field : object) {
        if (field.key == "plugin") {
            ++keys.plugin;
            std::string_view name;
            keys.ours = keys.ours || (field.value.get(name) == simdjson::SUCCESS && name == plugin_name);
        } else if (field.key == "requestId") {
            ++keys.request_id;
            keys.request_value = field.value;
        } else if (field.key == "responseId") {
            ++keys.response_id;
            keys.response_value = field.value;
        } else if (field.key == "data") {
            ++keys.data;
        }
    }
    return keys;
}

std::unexpected<packet_error> bad_json(std::string_view text) {
    return std::unexpected(packet_error{packet_errc::bad_json, {}, text});
}

std::unexpected<packet_error> bad_request(std::string_view field, std::string_view text) {
    return std::unexpected(packet_error{packet_errc::bad_request, field, text});
}

// The id becomes part of AMQP short strings, which hold no zero octets (AMQP 0-9-1 §4.2.5.3).
std::expected<std::string_view, packet_error> usable_id(const dom::element& value, std::string_view field) {
    std::string_view id;
    if (value.get(id) != simdjson::SUCCESS) return bad_request(field, "must be a string");
    if (id.empty() || id.size() > request_id_bytes_max) return bad_request(field, "must be 1 to 64 octets long");
    if (std::ranges::any_of(id, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        return bad_request(field, "must not contain control characters");
    return id;
}

}  // namespace

struct parser::state {
    // The frame with simdjson's padding behind it, all of it initialised.
    std::string_view keep(std::string_view frame);
    std::expected<packet, packet_error> parse_value(std::string_view json);
    std::expected<packet, packet_error> parse_responder(std::string_view json, const responder_keys& keys);
    std::expected<std::string_view, packet_error> raw_data(std::string_view json);

    std::unique_ptr<char[]> scratch;
    std::size_t capacity = 0;
    dom::parser whole;
    ondemand::parser spans;
};

parser::parser() : state_(std::make_unique<state>()) {}
parser::~parser() = default;
parser::parser(parser&&) noexcept = default;
parser& parser::operator=(parser&&) noexcept = default;

std::string_view parser::state::keep(std::string_view frame) {
    const std::size_t needed = frame.size() + simdjson::SIMDJSON_PADDING;
    if (needed > capacity) {
        capacity = std::bit_ceil(std::max<std::size_t>(needed, 4096));
        scratch = std::make_unique_for_overwrite<char[]>(capacity);
    }
    std::ranges::copy(frame, scratch.get());
    std::memset(scratch.get() + frame.size(), 0, simdjson::SIMDJSON_PADDING);
    return {scratch.get(), frame.size()};
}

std::expected<packet, packet_error> parser::parse(std::string_view frame) {
    frame = trim(frame);
    if (frame.empty()) return bad_json("the frame is empty");
    if (frame == "null") return packet{.kind = packet_kind::null};
    // Heartbeats are most of what an idle client sends: no JSON pass for them.
    if (frame.substr(1).starts_with(control_prefix)) {
        if (const auto text = plain_string(frame); text && frame.front() == '"') {
            packet found = control_packet(*text);
            if (found.kind == packet_kind::unknown_control) found.control = state_->keep(*text);
            return found;
        }
    }
    return state_->parse_value(state_->keep(frame));
}

std::expected<packet, packet_error> parser::state::parse_value(std::string_view json) {
    // Powers of two, so that slowly growing frames don't allocate anew each time.
    if (whole.capacity() < json.size()) {
        if (const auto failure = whole.allocate(std::bit_ceil(json.size())))
            return bad_json(simdjson::error_message(failure));
    }
    dom::element root;
    if (const auto failure = whole.parse(json.data(), json.size(), false).get(root))
        return bad_json(simdjson::error_message(failure));

    dom::object object;
    if (root.get(object) == simdjson::SUCCESS) {
        const responder_keys keys = find_keys(object);
        if (keys.ours) return parse_responder(json, keys);
    }
    std::string_view text;
    if (root.get(text) == simdjson::SUCCESS && text.starts_with(control_prefix)) return control_packet(text);
    return packet{.kind = packet_kind::data, .data = json};
}

std::expected<packet, packet_error> parser::state::parse_responder(std::string_view json, const responder_keys& keys) {
    // RFC 8259 §4 leaves open which of two equal keys counts; nobody who means well sends them.
    if (keys.plugin > 1) return bad_request("plugin", "is given twice");
    if (keys.request_id > 1) return bad_request("requestId", "is given twice");
    if (keys.response_id > 1) return bad_request("responseId", "is given twice");
    if (keys.data > 1) return bad_request("data", "is given twice");
    if (keys.request_id == 0 && keys.response_id == 0) return bad_request("requestId", "is missing");

    // The plugin looks at requestId first.
    const bool request = keys.request_id == 1;
    const auto id = request ? usable_id(keys.request_value, "requestId") : usable_id(keys.response_value, "responseId");
    if (!id) return std::unexpected(id.error());
    packet found{
        .kind = request ? packet_kind::request : packet_kind::response, .id = *id, .data = {null_text.data(), 4}};
    if (keys.data == 0) return found;
    const auto data = raw_data(json);
    if (!data) return std::unexpected(data.error());
    found.data = *data;
    return found;
}

// The octets of the member `data` of an object that is known to be valid and to have one.
std::expected<std::string_view, packet_error> parser::state::raw_data(std::string_view json) {
    if (spans.capacity() < json.size()) {
        if (const auto failure = spans.allocate(std::bit_ceil(json.size())))
            return bad_json(simdjson::error_message(failure));
    }
    ondemand::document document;
    ondemand::object object;
    if (const auto failure =
            spans.iterate(json.data(), json.size(), json.size() + simdjson::SIMDJSON_PADDING).get(document))
        return bad_json(simdjson::error_message(failure));
    if (const auto failure = document.get_object().get(object)) return bad_json(simdjson::error_message(failure));
    for (auto member : object) {
        ondemand::field field;
        std::string_view key, data;
        if (std::move(member).get(field) || field.unescaped_key().get(key)) break;
        if (key != "data") continue;
        ondemand::value value = field.value();
        if (simdjson::to_json_string(value).get(data)) break;
        return data;
    }
    return bad_json("the frame can't be taken apart");
}

std::string_view to_string(packet_errc code) noexcept {
    switch (code) {
        case packet_errc::bad_json:
            return "bad_json";
        case packet_errc::bad_request:
            return "bad_request";
    }
    return "bad_json";
}

namespace {

void append_control(std::string& out, std::string_view word, std::uint64_t ms) {
    out += "\"primus::";
    out += word;
    out += "::";
    out += std::to_string(ms);
    out += '"';
}

void append_responder(std::string& out, std::string_view key, std::string_view id, std::string_view raw_data) {
    out.reserve(out.size() + raw_data.size() + id.size() + 64);
    out += "{\"plugin\":\"primus-responder\",\"";
    out += key;
    out += "\":";
    append_json_string(out, id);
    out += ",\"data\":";
    out += raw_data;
    out += '}';
}

}  // namespace

void append_ping(std::string& out, std::uint64_t ms) {
    append_control(out, "ping", ms);
}

void append_pong(std::string& out, std::uint64_t ms) {
    append_control(out, "pong", ms);
}

void append_id(std::string& out, std::string_view spark_id) {
    std::string text(control_prefix);
    text += "id::";
    text += spark_id;
    append_json_string(out, text);
}

void append_server_close(std::string& out) {
    out += "\"primus::server::close\"";
}

void append_request(std::string& out, std::string_view request_id, std::string_view raw_data) {
    append_responder(out, "requestId", request_id, raw_data);
}

void append_response(std::string& out, std::string_view request_id, std::string_view raw_data) {
    append_responder(out, "responseId", request_id, raw_data);
}

}  // namespace foz::primus
