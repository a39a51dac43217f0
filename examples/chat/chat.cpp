#include "chat.hpp"

#include "base/json.hpp"
#include "service/worker.hpp"

#include <algorithm>
#include <string>

#include <simdjson.h>

namespace chat {
namespace {

using foz::service::request;

constexpr std::size_t text_bytes_max = 4'000;
constexpr std::size_t name_bytes_max = 64;

[[noreturn]] void refuse(const std::string& why) {
    throw foz::service::error("bad_message", why);
}

// The fields of a chat message.
class fields {
public:
    explicit fields(std::string_view json) {
        if (parser_.parse(json.data(), json.size()).get(object_) != simdjson::SUCCESS) refuse("an object is expected");
    }
    std::string required(const char* name, std::size_t bytes_max) {
        std::string_view value;
        if (object_[name].get(value) != simdjson::SUCCESS) refuse(std::string(name) + ": a string is expected");
        if (value.empty() || value.size() > bytes_max)
            refuse(std::string(name) + ": 1 to " + std::to_string(bytes_max) + " bytes are expected");
        return std::string(value);
    }
    std::string optional(const char* name, std::size_t bytes_max) {
        simdjson::dom::element ignored;
        return object_[name].get(ignored) == simdjson::SUCCESS ? required(name, bytes_max) : std::string();
    }

private:
    simdjson::dom::parser parser_;
    simdjson::dom::object object_;
};

std::string spoken(const request& r, fields& in, const std::string& extra = {}) {
    return "{\"from\":" + foz::json_string(r.client()) +
           ",\"name\":" + foz::json_string(in.optional("name", name_bytes_max)) +
           ",\"text\":" + foz::json_string(in.required("text", text_bytes_max)) + extra + "}";
}

// A room's name becomes a word of the topic.
std::string room_of(fields& in) {
    const std::string room = in.required("room", name_bytes_max);
    const bool word = std::all_of(room.begin(), room.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (!word) refuse("room: a-z, 0-9, '-' and '_' are expected");
    return room;
}

void say(request& r) {
    fields in(r.message());
    const std::string room = room_of(in);
    r.broadcast(spoken(r, in, ",\"room\":" + foz::json_string(room)), {.topic = "room." + room, .type = "said"});
    r.reply(R"({"ok":true})");
}

void whisper(request& r) {
    fields in(r.message());
    const std::string to = in.required("to", 128);
    r.direct({to}, spoken(r, in), {.type = "whispered"});
    r.reply(R"({"ok":true})");
}

void team(request& r) {
    fields in(r.message());
    const std::string group = in.required("group", 128);
    r.multicast({group}, spoken(r, in, ",\"group\":" + foz::json_string(group)), {.type = "said"});
    r.reply(R"({"ok":true})");
}

}  // namespace

void add_handlers(foz::service::worker& worker) {
    worker.on("chat", "say", say);
    worker.on("chat", "whisper", whisper);
    worker.on("chat", "team", team);
    worker.on("chat", "echo", [](request& r) { r.reply(r.message()); });
}

}  // namespace chat
