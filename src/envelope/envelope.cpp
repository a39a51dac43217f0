#include "envelope/envelope.hpp"

#include "envelope/topic.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include <simdjson.h>

namespace foz::envelope {
namespace {

namespace ondemand = simdjson::ondemand;
using outcome = std::optional<error>;

constexpr std::string_view known_actions = "consume, publish, leave, cancel, refresh";

error bad(std::string_view field, std::string text) {
    return {"bad_envelope", std::string(field), std::move(text)};
}

error wrong_type(std::string_view field, std::string_view expected) {
    std::string text = "must be ";
    text += expected;
    return bad(field, std::move(text));
}

error twice(std::string_view field) {
    return bad(field, "is given twice");
}

error not_json() {
    return bad({}, "the envelope is not valid JSON");
}

// What a client wrote, short enough for a warning or an error and still valid UTF-8 (as simdjson made sure: it takes
// no half of a surrogate pair either).
std::string excerpt(std::string_view text) {
    if (text.size() <= warning_bytes_max) return std::string(text);
    std::size_t end = warning_bytes_max;
    while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return std::string(text.substr(0, end));
}

std::string path(std::string_view parent, std::string_view key) {
    std::string out(parent);
    out += '.';
    out += excerpt(key);
    return out;
}

bool is_a(ondemand::value& value, ondemand::json_type expected) {
    ondemand::json_type type;
    return value.type().get(type) == simdjson::SUCCESS && type == expected;
}

// What is wrong with a name or id of 1 to `bytes_max` octets.
outcome check_text(std::string_view text, std::string_view field, std::size_t bytes_max) {
    if (text.empty()) return bad(field, "must not be empty");
    if (text.size() > bytes_max) return bad(field, "must not be longer than " + std::to_string(bytes_max) + " octets");
    for (const char letter : text) {
        const auto c = static_cast<unsigned char>(letter);
        if (c < 0x20 || c == 0x7f) return bad(field, "must not contain control characters");
    }
    return std::nullopt;
}

outcome get_string(ondemand::value& value, std::string_view field, std::string_view& out) {
    if (!is_a(value, ondemand::json_type::string)) return wrong_type(field, "a string");
    return value.get_string().get(out) == simdjson::SUCCESS ? std::nullopt
                                                            : outcome(bad(field, "is not a valid string"));
}

outcome get_text(ondemand::value& value, std::string_view field, std::size_t bytes_max, std::string_view& out) {
    if (auto wrong = get_string(value, field, out)) return wrong;
    return check_text(out, field, bytes_max);
}

outcome get_bool(ondemand::value& value, std::string_view field, bool& out) {
    if (value.get_bool().get(out) != simdjson::SUCCESS) return wrong_type(field, "true or false");
    return std::nullopt;
}

template <class Number>
outcome get_number(ondemand::value& value, std::string_view field, std::uint64_t max, Number& out) {
    std::uint64_t number = 0;
    if (!is_a(value, ondemand::json_type::number) || value.get_uint64().get(number) != simdjson::SUCCESS ||
        number > max)
        return wrong_type(field, "an integer from 0 to " + std::to_string(max));
    out = number;
    return std::nullopt;
}

// Calls each(key, value) for the members of an object; nothing else may be done with `value` before.
template <class Each>
outcome for_members(ondemand::object object, Each each) {
    for (auto member : object) {
        ondemand::field field;
        std::string_view key;
        if (std::move(member).get(field) || field.unescaped_key().get(key)) return not_json();
        if (auto wrong = each(key, field.value())) return wrong;
    }
    return std::nullopt;
}

template <class Each>
outcome for_members(ondemand::value& value, Each each) {
    ondemand::object object;
    if (value.get_object().get(object)) return not_json();
    return for_members(object, std::move(each));
}

// Calls each(text) for the strings of an array.
template <class Each>
outcome for_strings(ondemand::value& value, std::string_view field, Each each) {
    if (!is_a(value, ondemand::json_type::array)) return wrong_type(field, "an array of strings");
    ondemand::array array;
    if (value.get_array().get(array)) return not_json();
    for (auto element : array) {
        ondemand::value item;
        std::string_view text;
        if (std::move(element).get(item)) return not_json();
        if (!is_a(item, ondemand::json_type::string)) return wrong_type(field, "an array of strings");
        if (auto wrong = get_string(item, field, text)) return wrong;
        if (auto wrong = each(text)) return wrong;
    }
    return std::nullopt;
}

outcome resume_text(ondemand::value& value, std::string_view field, resume_from& out) {
    std::string_view text;
    if (auto wrong = get_string(value, field, text)) return wrong;
    if (text == "now") {
        out = {.what = resume_from::kind::now};
    } else if (text == "first") {
        out = {.what = resume_from::kind::first};
    } else {
        const auto where = parse_position(text);
        if (!where)
            return bad(field, "must be \"first\", \"now\" or a position: " + std::string(to_text(where.error())));
        out = {.what = resume_from::kind::at, .where = *where};
    }
    return std::nullopt;
}

}  // namespace

struct parser::state {
    outcome parse(std::string_view data);
    std::string find_id(std::string_view data);
    outcome take(std::string_view key, ondemand::value value);

    outcome take_action(ondemand::value& value, std::string_view field);
    outcome take_channel(ondemand::value& value, std::string_view field);
    outcome take_distribution(ondemand::value& value, std::string_view field);
    outcome take_publish_target(ondemand::value& value, std::string_view field);
    outcome take_consume_target(ondemand::value& value, std::string_view field);
    outcome take_message(ondemand::value& value, std::string_view field);
    outcome take_id(ondemand::value& value, std::string_view field);
    outcome take_type(ondemand::value& value, std::string_view field);
    outcome take_topic(ondemand::value& value, std::string_view field);
    outcome take_expires_ms(ondemand::value& value, std::string_view field);
    outcome take_timeout_ms(ondemand::value& value, std::string_view field);
    outcome take_fail_fast(ondemand::value& value, std::string_view field);
    outcome take_progress(ondemand::value& value, std::string_view field);
    outcome take_ack(ondemand::value& value, std::string_view field);
    outcome take_from(ondemand::value& value, std::string_view field);
    outcome take_token(ondemand::value& value, std::string_view field);

    outcome add_channel(std::string_view name, bool on, const std::string& field);
    outcome add_receiver(std::string_view name, std::string_view field, std::vector<std::string_view>& to);
    outcome add_pattern(std::string_view pattern, std::string_view field);
    outcome take_resume(ondemand::value& value, const std::string& field, resume_from& out);
    void warn(std::string name);

    struct field_rule {
        std::string_view name;
        outcome (state::*take)(ondemand::value& value, std::string_view field);
    };
    static const field_rule fields[16];

    ondemand::parser json;
    envelope result;
    std::uint32_t seen = 0;  // a bit for each of `fields`
    std::vector<channel_flag> channels;
    std::vector<std::string_view> multicast, direct, consume_target;
    std::vector<channel_from> from;
    std::vector<std::string> warnings;
};

const parser::state::field_rule parser::state::fields[16] = {
    {"packet_action", &state::take_action},
    {"channel", &state::take_channel},
    {"distribution", &state::take_distribution},
    {"publish_target", &state::take_publish_target},
    {"consume_target", &state::take_consume_target},
    {"message", &state::take_message},
    {"id", &state::take_id},
    {"type", &state::take_type},
    {"topic", &state::take_topic},
    {"expires_ms", &state::take_expires_ms},
    {"timeout_ms", &state::take_timeout_ms},
    {"fail_fast", &state::take_fail_fast},
    {"ack", &state::take_ack},
    {"progress", &state::take_progress},
    {"from", &state::take_from},
    {"token", &state::take_token},
};

parser::parser() : state_(std::make_unique<state>()) {}
parser::~parser() = default;
parser::parser(parser&&) noexcept = default;
parser& parser::operator=(parser&&) noexcept = default;

std::expected<const envelope*, error> parser::parse(std::string_view data) {
    if (auto wrong = state_->parse(data)) {
        wrong->id = state_->find_id(data);
        return std::unexpected(std::move(*wrong));
    }
    return &state_->result;
}

// Of an envelope that is wrong elsewhere.
std::string parser::state::find_id(std::string_view data) {
    ondemand::document document;
    ondemand::object object;
    ondemand::value value;
    result.id = {};
    if (json.iterate(data.data(), data.size(), data.size() + simdjson::SIMDJSON_PADDING).get(document) ||
        document.get_object().get(object) || object.find_field_unordered("id").get(value) || take_id(value, "id"))
        return {};
    return std::string(result.id);
}

outcome parser::state::parse(std::string_view data) {
    result = {};
    seen = 0;
    channels.clear();
    multicast.clear();
    direct.clear();
    consume_target.clear();
    from.clear();
    warnings.clear();

    // Powers of two, so that slowly growing envelopes don't allocate anew each time.
    if (json.capacity() < data.size() && json.allocate(std::bit_ceil(data.size()))) return bad({}, "is too large");
    ondemand::document document;
    ondemand::object object;
    if (json.iterate(data.data(), data.size(), data.size() + simdjson::SIMDJSON_PADDING).get(document) ||
        document.get_object().get(object))
        return bad({}, "the envelope must be a JSON object");
    if (auto wrong = for_members(object, [this](auto key, auto value) { return take(key, value); })) return wrong;

    if (!(seen & 1)) return bad("packet_action", "is missing; known are " + std::string(known_actions));
    if (result.action == packet_action::refresh && result.token.empty()) return bad("token", "is missing");
    if (result.action == packet_action::cancel && result.id.empty()) return bad("id", "is missing");
    result.channels = channels;
    result.to.multicast = multicast;
    result.to.direct = direct;
    result.consume_target = consume_target;
    result.from = from;
    result.warnings = warnings;
    return std::nullopt;
}

outcome parser::state::take(std::string_view key, ondemand::value value) {
    for (std::size_t i = 0; i < std::size(fields); ++i) {
        // A name for the element: g++ 12 with -fsanitize=bounds calls another one's function through fields[i].take.
        const field_rule& rule = fields[i];
        if (key != rule.name) continue;
        const std::uint32_t bit = 1u << i;
        if (seen & bit) return twice(key);
        seen |= bit;
        return (this->*rule.take)(value, rule.name);
    }
    warn(excerpt(key));
    return std::nullopt;
}

void parser::state::warn(std::string name) {
    if (warnings.size() < warnings_max && std::ranges::find(warnings, name) == warnings.end())
        warnings.push_back(std::move(name));
}

outcome parser::state::take_action(ondemand::value& value, std::string_view field) {
    std::string_view text;
    if (auto wrong = get_string(value, field, text)) return wrong;
    for (const auto action : {packet_action::consume, packet_action::publish, packet_action::leave,
                              packet_action::cancel, packet_action::refresh}) {
        if (text != to_string(action)) continue;
        result.action = action;
        return std::nullopt;
    }
    return error{"unknown_action", std::string(field),
                 "\"" + excerpt(text) + "\" is no packet_action; known are " + std::string(known_actions)};
}

outcome parser::state::add_channel(std::string_view name, bool on, const std::string& field) {
    if (auto wrong = check_text(name, field, channel_bytes_max)) return wrong;
    if (std::ranges::find(channels, name, &channel_flag::name) != channels.end()) return twice(field);
    if (channels.size() == channels_max)
        return bad("channel", "names more than " + std::to_string(channels_max) + " channels");
    channels.push_back({name, on});
    return std::nullopt;
}

outcome parser::state::take_channel(ondemand::value& value, std::string_view field) {
    result.has_channel = true;
    if (is_a(value, ondemand::json_type::string)) {
        std::string_view name;
        if (auto wrong = get_string(value, field, name)) return wrong;
        return add_channel(name, true, std::string(field));
    }
    if (!is_a(value, ondemand::json_type::object)) return wrong_type(field, "a string or an object of true and false");
    return for_members(value, [&](std::string_view name, ondemand::value flag) -> outcome {
        const std::string member = path(field, name);
        bool on = false;
        if (auto wrong = get_bool(flag, member, on)) return wrong;
        return add_channel(name, on, member);
    });
}

outcome parser::state::add_receiver(std::string_view name, std::string_view field, std::vector<std::string_view>& to) {
    if (auto wrong = check_text(name, field, receiver_bytes_max)) return wrong;
    if (multicast.size() + direct.size() == receivers_max)
        return bad(field, "makes more than " + std::to_string(receivers_max) + " receivers");
    to.push_back(name);
    return std::nullopt;
}

outcome parser::state::take_distribution(ondemand::value& value, std::string_view field) {
    if (!is_a(value, ondemand::json_type::object)) return wrong_type(field, "an object");
    bool had_broadcast = false, had_multicast = false, had_direct = false;
    const auto receivers = [this](ondemand::value& list, std::string_view name, bool& had,
                                  std::vector<std::string_view>& to) -> outcome {
        if (std::exchange(had, true)) return twice(name);
        return for_strings(list, name, [&](std::string_view text) { return add_receiver(text, name, to); });
    };
    return for_members(value, [&](std::string_view key, ondemand::value member) -> outcome {
        if (key == "multicast") return receivers(member, "distribution.multicast", had_multicast, multicast);
        if (key == "direct") return receivers(member, "distribution.direct", had_direct, direct);
        if (key == "broadcast") {
            if (std::exchange(had_broadcast, true)) return twice("distribution.broadcast");
            return get_bool(member, "distribution.broadcast", result.to.broadcast);
        }
        warn(path(field, key));
        return std::nullopt;
    });
}

// An empty name would be AMQP's default exchange (AMQP 0-9-1 §3.1.3.1), which reaches every queue.
outcome parser::state::take_publish_target(ondemand::value& value, std::string_view field) {
    return get_text(value, field, exchange_bytes_max, result.publish_target);
}

outcome parser::state::add_pattern(std::string_view pattern, std::string_view field) {
    if (const auto wrong = check_pattern(pattern)) return bad(field, std::string(*wrong));
    if (consume_target.size() == consume_targets_max)
        return bad(field, "has more than " + std::to_string(consume_targets_max) + " patterns");
    consume_target.push_back(pattern);
    return std::nullopt;
}

outcome parser::state::take_consume_target(ondemand::value& value, std::string_view field) {
    if (is_a(value, ondemand::json_type::string)) {
        std::string_view pattern;
        if (auto wrong = get_string(value, field, pattern)) return wrong;
        return add_pattern(pattern, field);
    }
    return for_strings(value, field, [&](std::string_view pattern) { return add_pattern(pattern, field); });
}

outcome parser::state::take_message(ondemand::value& value, std::string_view) {
    if (simdjson::to_json_string(value).get(result.message)) return not_json();
    result.has_message = true;
    return std::nullopt;
}

outcome parser::state::take_id(ondemand::value& value, std::string_view field) {
    return get_text(value, field, id_bytes_max, result.id);
}

outcome parser::state::take_type(ondemand::value& value, std::string_view field) {
    return get_text(value, field, type_bytes_max, result.type);
}

outcome parser::state::take_topic(ondemand::value& value, std::string_view field) {
    if (auto wrong = get_string(value, field, result.topic)) return wrong;
    if (const auto wrong = check_topic(result.topic)) return bad(field, std::string(*wrong));
    return std::nullopt;
}

outcome parser::state::take_expires_ms(ondemand::value& value, std::string_view field) {
    return get_number(value, field, expires_ms_max, result.expires_ms);
}

outcome parser::state::take_timeout_ms(ondemand::value& value, std::string_view field) {
    return get_number(value, field, timeout_ms_max, result.timeout_ms);
}

outcome parser::state::take_fail_fast(ondemand::value& value, std::string_view field) {
    return get_bool(value, field, result.fail_fast);
}

outcome parser::state::take_progress(ondemand::value& value, std::string_view field) {
    return get_bool(value, field, result.progress);
}

outcome parser::state::take_ack(ondemand::value& value, std::string_view field) {
    std::string_view text;
    if (auto wrong = get_string(value, field, text)) return wrong;
    for (const auto mode : {ack_mode::none, ack_mode::confirmed, ack_mode::answer}) {
        if (text != to_string(mode)) continue;
        result.ack = mode;
        return std::nullopt;
    }
    return wrong_type(field, "none, confirmed or answer");
}

// One place to go on from: a string or {"since_ms":…}.
outcome parser::state::take_resume(ondemand::value& value, const std::string& field, resume_from& out) {
    if (is_a(value, ondemand::json_type::string)) return resume_text(value, field, out);
    if (!is_a(value, ondemand::json_type::object)) return wrong_type(field, "a string or {\"since_ms\":…}");
    bool had = false;
    out.what = resume_from::kind::since;
    auto wrong = for_members(value, [&](std::string_view key, ondemand::value member) -> outcome {
        if (key != "since_ms") {
            warn(path("from", key));
            return std::nullopt;
        }
        if (std::exchange(had, true)) return twice(field + ".since_ms");
        return get_number(member, field + ".since_ms", since_ms_max, out.since_ms);
    });
    if (wrong) return wrong;
    return had ? std::nullopt : outcome(bad(field, "needs since_ms"));
}

// A string, {"since_ms":…}, or a map of channels to these; no channel's name has an underscore.
outcome parser::state::take_from(ondemand::value& value, std::string_view field) {
    if (is_a(value, ondemand::json_type::string)) {
        from.emplace_back();
        return resume_text(value, field, from.back().from);
    }
    if (!is_a(value, ondemand::json_type::object))
        return wrong_type(field, "a string, {\"since_ms\":…} or an object of channels");
    bool since = false;
    return for_members(value, [&](std::string_view key, ondemand::value member) -> outcome {
        const std::string name = path(field, key);
        if (since || (key == "since_ms" && !from.empty()))
            return bad(field, "must be either {\"since_ms\":…} or an object of channels");
        if (key == "since_ms") {
            since = true;
            from.push_back({.from = {.what = resume_from::kind::since}});
            return get_number(member, name, since_ms_max, from.back().from.since_ms);
        }
        if (auto wrong = check_text(key, name, channel_bytes_max)) return wrong;
        if (std::ranges::find(from, key, &channel_from::channel) != from.end()) return twice(name);
        if (from.size() == channels_max)
            return bad(field, "names more than " + std::to_string(channels_max) + " channels");
        from.push_back({.channel = key});
        return take_resume(member, name, from.back().from);
    });
}

outcome parser::state::take_token(ondemand::value& value, std::string_view field) {
    return get_text(value, field, token_bytes_max, result.token);
}

std::string_view to_string(packet_action action) noexcept {
    switch (action) {
        case packet_action::consume:
            return "consume";
        case packet_action::publish:
            return "publish";
        case packet_action::leave:
            return "leave";
        case packet_action::cancel:
            return "cancel";
        case packet_action::refresh:
            return "refresh";
    }
    return {};
}

std::string_view to_string(ack_mode mode) noexcept {
    switch (mode) {
        case ack_mode::none:
            return "none";
        case ack_mode::confirmed:
            return "confirmed";
        case ack_mode::answer:
            return "answer";
    }
    return {};
}

}  // namespace foz::envelope
