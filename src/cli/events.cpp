#include "cli/events.hpp"

#include <simdjson.h>

namespace foz::cli {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

std::string text(const object& from, std::string_view key) {
    std::string_view found;
    return from[key].get_string().get(found) == simdjson::SUCCESS ? std::string(found) : std::string();
}

std::string json(const object& from, std::string_view key) {
    element found;
    return from[key].get(found) == simdjson::SUCCESS ? simdjson::minify(found) : std::string();
}

std::uint64_t number(const object& from, std::string_view key) {
    std::uint64_t found = 0;
    return from[key].get_uint64().get(found) == simdjson::SUCCESS ? found : 0;
}

// On one line, numbers and strings as they are written.
std::string minified(std::string_view text) {
    std::string out(text.size(), '\0');
    std::size_t size = 0;
    if (simdjson::minify(text.data(), text.size(), out.data(), size) != simdjson::SUCCESS) return {};
    out.resize(size);
    return out;
}

// A member of a valid object as it is written; empty when there is none.
std::string written(simdjson::ondemand::parser& parser, std::string_view frame, std::string_view key) {
    const simdjson::padded_string padded(frame);
    simdjson::ondemand::document all;
    simdjson::ondemand::value found;
    if (parser.iterate(padded).get(all) != simdjson::SUCCESS || all.find_field(key).get(found) != simdjson::SUCCESS)
        return {};
    simdjson::ondemand::json_type type{};
    if (found.type().get(type) != simdjson::SUCCESS) return {};
    std::string_view text;
    if (type == simdjson::ondemand::json_type::object) {
        simdjson::ondemand::object held;
        if (found.get_object().get(held) != simdjson::SUCCESS || held.raw_json().get(text) != simdjson::SUCCESS)
            return {};
    } else if (type == simdjson::ondemand::json_type::array) {
        simdjson::ondemand::array held;
        if (found.get_array().get(held) != simdjson::SUCCESS || held.raw_json().get(text) != simdjson::SUCCESS)
            return {};
    } else {
        text = found.raw_json_token();
        while (!text.empty() &&
               (text.back() == ' ' || text.back() == '\n' || text.back() == '\r' || text.back() == '\t'))
            text.remove_suffix(1);
    }
    return minified(text);
}

void read_error(const object& all, server_event& out) {
    object error;
    if (all["error"].get_object().get(error) != simdjson::SUCCESS) return;
    out.code = text(error, "code");
    out.text = text(error, "message");
    out.field = text(error, "field");
    out.id = text(error, "id");
    out.frame = number(error, "frame");
    out.service_code = text(error, "service_code");
    out.service = json(error, "service");
    out.retry_after_ms = number(error, "retry_after_ms");
    bool retryable = false;
    if (error["retryable"].get_bool().get(retryable) == simdjson::SUCCESS) out.retryable = retryable;
}

void read_consuming(const object& all, server_event& out) {
    object channels;
    if (all["channels"].get_object().get(channels) != simdjson::SUCCESS) return;
    for (const auto& [name, value] : channels) {
        object one;
        if (value.get_object().get(one) != simdjson::SUCCESS) continue;
        out.channels.emplace_back(name);
        if (std::string where = text(one, "position"); !where.empty())
            out.positions[std::string(name)] = std::move(where);
    }
}

}  // namespace

struct event_reader::parser {
    simdjson::dom::parser json;
    simdjson::ondemand::parser raw;
};

event_reader::event_reader() : parser_(std::make_unique<parser>()) {}
event_reader::~event_reader() = default;

server_event event_reader::read(std::string_view frame) {
    server_event out;
    element root;
    object all;
    if (parser_->json.parse(frame.data(), frame.size()).get(root) != simdjson::SUCCESS ||
        root.get_object().get(all) != simdjson::SUCCESS)
        return out;
    out.line = minified(frame);
    out.event = text(all, "event");
    out.id = text(all, "id");
    out.frame = number(all, "frame");
    out.attempt = number(all, "attempt");
    out.seq = number(all, "seq");
    out.channel = text(all, "channel");
    out.position = text(all, "position");
    out.state = text(all, "state");
    out.cause = text(all, "cause");
    if (out.event == "message" || out.event == "answer" || out.event == "part")
        out.message = written(parser_->raw, frame, "message");
    if (out.event == "error") read_error(all, out);
    if (out.event == "consuming") read_consuming(all, out);
    return out;
}

bool worth_another_try(const server_event& error) noexcept {
    return error.retryable && error.code != "timeout" && error.code != "no_service";
}

std::string in_words(const server_event& error) {
    if (error.code == "service") {
        const std::string code = error.service_code.empty() ? error.code : error.service_code;
        return code + ": " + (error.service.empty() ? error.text : error.service);
    }
    std::string out = error.code + ": ";
    if (!error.field.empty()) out += error.field + ": ";
    return out + error.text;
}

}  // namespace foz::cli
