#include "clients/heard.hpp"

#include <simdjson.h>

namespace foz::sim {
namespace {

using simdjson::dom::element;

void text_of(const element& of, const char* key, std::string& into) {
    std::string_view text;
    if (of[key].get(text) == simdjson::SUCCESS) into = text;
}

std::optional<std::uint64_t> number_of(const element& of, const char* key) {
    std::uint64_t number = 0;
    if (of[key].get(number) == simdjson::SUCCESS) return number;
    return std::nullopt;
}

void names_of(const element& of, const char* key, std::vector<std::string>& into) {
    simdjson::dom::array all;
    if (of[key].get(all) != simdjson::SUCCESS) return;
    for (const element one : all) into.emplace_back(std::string_view(one));
}

void read_consuming(const element& event, heard& out) {
    simdjson::dom::object channels;
    if (event["channels"].get(channels) != simdjson::SUCCESS) return;
    for (const auto& [name, said] : channels) {
        auto& one = out.consuming.emplace_back();
        one.channel = name;
        text_of(said, "position", one.position);
        names_of(said, "topics", one.topics);
        names_of(said, "groups", one.groups);
    }
}

void read_message(const element& event, heard& out) {
    element message;
    if (event["message"].get(message) != simdjson::SUCCESS) return;
    out.message = simdjson::minify(message);
    std::int64_t n = 0;
    if (message.is_object() && message["n"].get(n) == simdjson::SUCCESS) out.number = n;
}

void read_event(const element& event, heard& out) {
    text_of(event, "event", out.event);
    for (const auto& [key, into] : {std::pair<const char*, std::string*>{"channel", &out.channel},
                                    {"via", &out.via},
                                    {"topic", &out.topic},
                                    {"group", &out.group},
                                    {"type", &out.type},
                                    {"id", &out.id},
                                    {"position", &out.position},
                                    {"cause", &out.cause},
                                    {"state", &out.state},
                                    {"client", &out.client},
                                    {"session", &out.session}})
        text_of(event, key, *into);
    out.frame = number_of(event, "frame");
    out.retry_after_ms = number_of(event, "retry_after_ms");
    read_message(event, out);
    if (out.event == "consuming") read_consuming(event, out);
    if (out.event != "error") return;
    element error;
    if (event["error"].get(error) != simdjson::SUCCESS) return;
    text_of(error, "code", out.code);
    text_of(error, "id", out.id);
    out.frame = number_of(error, "frame");
    out.retry_after_ms = number_of(error, "retry_after_ms");
    bool retryable = false;
    out.retryable = error["retryable"].get(retryable) == simdjson::SUCCESS && retryable;
}

}  // namespace

std::optional<heard> read_frame(std::string_view text) {
    static thread_local simdjson::dom::parser parser;
    element frame;
    if (parser.parse(text.data(), text.size()).get(frame) != simdjson::SUCCESS) return std::nullopt;
    heard out;
    if (frame.is_string()) {
        const std::string_view control = frame;
        constexpr std::string_view ping = "primus::ping::";
        if (control.starts_with(ping)) {
            out.what = heard::kind::ping;
            out.control = control.substr(ping.size());
        } else if (control == "primus::server::close") {
            out.what = heard::kind::server_close;
        }
        return out;
    }
    if (!frame.is_object()) return out;
    out.what = heard::kind::event;
    std::string plugin;
    text_of(frame, "plugin", plugin);
    if (plugin != "primus-responder") {
        read_event(frame, out);
        return out;
    }
    text_of(frame, "responseId", out.response_id);
    text_of(frame, "requestId", out.request_id);
    element data;
    if (frame["data"].get(data) != simdjson::SUCCESS) return out;
    if (!out.request_id.empty()) {
        out.what = heard::kind::request;
        out.message = simdjson::minify(data);
    } else if (data.is_object()) {
        read_event(data, out);
    }
    return out;
}

}  // namespace foz::sim
