#include "chat.hpp"

#include "base/json.hpp"
#include "common/fields.hpp"
#include "history.hpp"
#include "service/worker.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace chat {
namespace {

using examples::fields;
using examples::refuse;
using foz::service::request;

constexpr std::size_t text_bytes_max = 4'000;
constexpr std::size_t name_bytes_max = 64;
constexpr std::string_view room_topic = "room.";

std::string spoken(const request& r, fields& in, const std::string& extra = {}) {
    const std::string text = in.required("text", text_bytes_max);
    const std::string name = in.optional("name", name_bytes_max);
    return "{\"from\":" + foz::json_string(r.client()) + ",\"name\":" + foz::json_string(name) +
           ",\"text\":" + foz::json_string(text) + extra + "}";
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
    r.broadcast(spoken(r, in, ",\"room\":" + foz::json_string(room)),
                {.topic = std::string(room_topic) + room, .type = "said"});
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

    const auto rooms = std::make_shared<history>();
    worker.follow("chat", std::chrono::system_clock::now() - std::chrono::hours(24),
                  [rooms](const foz::service::said& message) {
                      if (message.type == "said" && message.topic.starts_with(room_topic))
                          rooms->add(message.topic.substr(room_topic.size()), message.message_id, message.message);
                  });
    worker.on("chat", "history", [rooms](request& r) {
        fields in(r.message());
        const std::string room = room_of(in);
        const auto limit = static_cast<std::size_t>(in.number("limit", 1, history::messages_max, 20));
        const auto [messages, ids] = rooms->last(room, limit);
        r.reply("{\"room\":" + foz::json_string(room) + ",\"messages\":[" + messages + "],\"ids\":[" + ids + "]}");
    });
}

void add_demo(foz::service::worker& worker) {
    worker.on("chat", "demo.crash", [](request&) {
        std::fputs("foz-chat: aborts, as demo.crash wants it\n", stderr);
        std::abort();
    });
}

}  // namespace chat
