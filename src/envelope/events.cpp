#include "envelope/events.hpp"

#include "base/json.hpp"

#include <charconv>

namespace foz::envelope {
namespace {

// Appends the members of one object, in order, with the commas.
class object_writer {
public:
    explicit object_writer(std::string& out) : out_(out) { out_ += '{'; }
    void end() { out_ += '}'; }

    // A key that is followed by whatever the caller appends to out().
    std::string& key(std::string_view name) {
        if (!first_) out_ += ',';
        first_ = false;
        append_json_string(out_, name);
        out_ += ':';
        return out_;
    }
    // For literals that need no escapes.
    object_writer& literal(std::string_view name, std::string_view word) {
        key(name) += '"';
        out_ += word;
        out_ += '"';
        return *this;
    }
    object_writer& text(std::string_view name, std::string_view value) {
        append_json_string(key(name), value);
        return *this;
    }
    object_writer& text_if(std::string_view name, std::string_view value) {
        return value.empty() ? *this : text(name, value);
    }
    object_writer& raw(std::string_view name, std::string_view json) {
        key(name) += json.empty() ? std::string_view("null") : json;
        return *this;
    }
    object_writer& number(std::string_view name, std::uint64_t value) {
        char digits[20];
        key(name).append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
        return *this;
    }
    object_writer& number_if(std::string_view name, std::optional<std::uint64_t> value) {
        return value ? number(name, *value) : *this;
    }
    object_writer& place_if(std::string_view name, const std::optional<position>& where) {
        if (!where) return *this;
        key(name) += '"';
        append(out_, *where);
        out_ += '"';
        return *this;
    }
    template <class Strings>
    object_writer& list(std::string_view name, const Strings& strings) {
        key(name) += '[';
        bool first = true;
        for (const auto& each : strings) {
            if (!first) out_ += ',';
            first = false;
            append_json_string(out_, each);
        }
        out_ += ']';
        return *this;
    }
    object_writer& warnings(std::span<const std::string> names) {
        return names.empty() ? *this : list("warnings", names);
    }

private:
    std::string& out_;
    bool first_ = true;
};

}  // namespace

void append(std::string& out, const message_event& event) {
    out.reserve(out.size() + event.message.size() + event.topic.size() + event.id.size() + 256);
    append_head(out, event);
    out += event.message.empty() ? std::string_view("null") : event.message;
    out += '}';
}

void append_head(std::string& out, const message_event& event) {
    object_writer object(out);
    object.literal("event", "message")
        .text("channel", event.channel)
        .literal("via", to_string(event.how))
        .text_if("topic", event.topic)
        .text_if("group", event.group)
        .text_if("type", event.type)
        .text_if("id", event.id)
        .place_if("position", event.where)
        .key("message");
}

void append(std::string& out, const consuming_event& event) {
    object_writer object(out);
    object.literal("event", "consuming").text_if("id", event.id);
    object_writer channels(object.key("channels"));
    for (const auto& each : event.channels) {
        object_writer channel(channels.key(each.name));
        channel.list("topics", each.topics).list("groups", each.groups).place_if("position", each.where).end();
    }
    channels.end();
    object.warnings(event.warnings).end();
}

void append(std::string& out, const receipt_event& event) {
    object_writer object(out);
    object.literal("event", "receipt")
        .text_if("id", event.id)
        .number_if("frame", event.frame)
        .warnings(event.warnings)
        .end();
}

void append(std::string& out, const part_event& event) {
    out.reserve(out.size() + event.message.size() + 192);
    object_writer object(out);
    object.literal("event", "part")
        .text("channel", event.channel)
        .text("id", event.id)
        .number_if("attempt", event.attempt)
        .number_if("seq", event.seq)
        .place_if("position", event.where)
        .raw("message", event.message)
        .end();
}

void append(std::string& out, const answer_event& event) {
    out.reserve(out.size() + event.message.size() + 128);
    object_writer object(out);
    object.literal("event", "answer")
        .text_if("id", event.id)
        .raw("message", event.message)
        .warnings(event.warnings)
        .end();
}

void append(std::string& out, const error_event& event) {
    object_writer object(out);
    object.literal("event", "error");
    object_writer error(object.key("error"));
    error.text("code", event.code)
        .text("message", event.message)
        .raw("retryable", event.retryable ? "true" : "false")
        .number_if("retry_after_ms", event.retry_after_ms)
        .text_if("field", event.field)
        .text_if("id", event.id)
        .number_if("frame", event.frame)
        .text_if("dead_letter", event.dead_letter)
        .text_if("reason", event.reason)
        .text_if("service_code", event.service_code);
    if (!event.service.empty()) error.raw("service", event.service);
    error.end();
    object.end();
}

void append(std::string& out, const position_event& event) {
    object_writer object(out);
    object.literal("event", "position").text("channel", event.channel).place_if("position", event.where).end();
}

void append(std::string& out, const gap_event& event) {
    object_writer object(out);
    object.literal("event", "gap")
        .text("channel", event.channel)
        .literal("cause", to_string(event.cause))
        .place_if("position", event.where)
        .end();
}

void append(std::string& out, const progress_event& event) {
    object_writer object(out);
    object.literal("event", "progress")
        .text_if("id", event.id)
        .literal("state", to_string(event.state))
        .number_if("attempt", event.attempt)
        .end();
}

void append(std::string& out, const auth_event& event) {
    object_writer object(out);
    object.literal("event", "auth").text_if("id", event.id).number("expires_in_ms", event.expires_in_ms);
    if (!event.channels.empty()) {
        object_writer channels(object.key("channels"));
        for (const granted_channel& each : event.channels) {
            object_writer channel(channels.key(each.name));
            channel.list("consume", each.consume).list("publish", each.publish).list("request", each.request).end();
        }
        channels.end();
        object.list("groups", event.groups);
    }
    object.end();
}

void append(std::string& out, const drain_event& event) {
    object_writer object(out);
    object.literal("event", "drain").number("retry_after_ms", event.retry_after_ms).end();
}

void append(std::string& out, const welcome_event& event) {
    object_writer object(out);
    object.literal("event", "welcome").text("client", event.client).text("session", event.session);
    object_writer limits(object.key("limits"));
    limits.number("frame_bytes_max", event.frame_bytes_max)
        .number("channels_max", event.channels_max)
        .number("receivers_max", event.receivers_max)
        .number("consume_targets_max", event.consume_targets_max)
        .end();
    object.end();
}

std::string_view to_string(via how) noexcept {
    switch (how) {
        case via::broadcast:
            return "broadcast";
        case via::multicast:
            return "multicast";
        case via::direct:
            return "direct";
    }
    return {};
}

std::string_view to_string(gap_cause cause) noexcept {
    switch (cause) {
        case gap_cause::retention:
            return "retention";
        case gap_cause::recreated:
            return "recreated";
        case gap_cause::too_far:
            return "too_far";
        case gap_cause::slow:
            return "slow";
        case gap_cause::too_large:
            return "too_large";
        case gap_cause::lost:
            return "lost";
    }
    return {};
}

std::string_view to_string(progress_state state) noexcept {
    switch (state) {
        case progress_state::confirmed:
            return "confirmed";
        case progress_state::taken:
            return "taken";
        case progress_state::retrying:
            return "retrying";
        case progress_state::done:
            return "done";
        case progress_state::dead_lettered:
            return "dead_lettered";
    }
    return {};
}

}  // namespace foz::envelope
