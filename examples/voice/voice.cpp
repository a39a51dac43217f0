#include "voice.hpp"

#include "base/json.hpp"
#include "calls.hpp"
#include "common/fields.hpp"
#include "service/worker.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

namespace voice {
namespace {

using examples::fields;
using examples::refuse;
using foz::json_string;
using foz::service::request;

constexpr std::size_t id_bytes_max = 128;
constexpr std::size_t name_bytes_max = 64;

struct exchange {
    std::mutex mutex;  // handlers run on several threads
    calls all;
};

party sender(const request& r) {
    return {std::string(r.client()), std::string(r.session())};
}

[[noreturn]] void refuse(problem why) {
    switch (why) {
        case problem::no_such_call:
            throw foz::service::error("no_such_call", "there is no such call");
        case problem::not_your_call:
            throw foz::service::error("not_your_call", "this socket has no part in that call");
        case problem::not_reachable:
            throw foz::service::error("not_reachable", "nobody is there to be called");
        case problem::busy:
            break;
    }
    throw foz::service::error("busy", "one of the two is in a call");
}

// `extra` is further members of the message, each with a comma before it.
void tell(request& r, const notices& all, const std::string& extra = {}) {
    for (const notice& one : all) {
        const std::string call = "{\"call\":" + json_string(one.call);
        switch (one.what) {
            case notice::kind::ringing:
                r.direct({one.to}, call + ",\"from\":" + json_string(one.from) + extra + "}", {.type = "ringing"});
                break;
            case notice::kind::answered:
                r.direct({one.to}, call + ",\"by\":" + json_string(one.from) + "}", {.type = "answered"});
                break;
            case notice::kind::ended:
                r.direct({one.to}, call + ",\"reason\":" + json_string(one.why) + "}", {.type = "ended"});
                break;
            case notice::kind::signal:
                r.direct({one.to}, call + extra + "}", {.type = "signal"});
                break;
        }
    }
}

void ring(request& r, calls& all) {
    fields in(r.message());
    const std::string to = in.required("to", id_bytes_max);
    const std::string name = in.optional("name", name_bytes_max);
    // Unique, since the message's id is, and the same when the message comes again.
    const std::string id(r.message_id());
    const auto told = all.ring(sender(r), to, id, std::chrono::steady_clock::now());
    if (!told) refuse(told.error());
    tell(r, *told, ",\"name\":" + json_string(name));
    r.reply("{\"call\":" + json_string(id) + "}");
}

template <class Step>
void step(request& r, Step take) {
    fields in(r.message());
    const auto told = take(sender(r), in.required("call", 2 * id_bytes_max));
    if (!told) refuse(told.error());
    tell(r, *told);
    r.reply(R"({"ok":true})");
}

void signal(request& r, const calls& all) {
    fields in(r.message());
    const std::string data = in.json("data");
    const auto told = all.signal(sender(r), in.required("call", 2 * id_bytes_max));
    if (!told) refuse(told.error());
    tell(r, *told, ",\"data\":" + data);
    r.reply(R"({"ok":true})");
}

// Who is there is for everyone to see. A page says that it is there when it comes and whenever somebody asks; that it
// has left, its closing socket says.
void here(request& r) {
    fields in(r.message());
    const std::string name = in.optional("name", name_bytes_max);
    r.broadcast("{\"client\":" + json_string(r.client()) + ",\"name\":" + json_string(name) + "}", {.type = "here"});
    r.reply(R"({"ok":true})");
}

void who(request& r) {
    r.broadcast("{}", {.type = "who"});
    r.reply(R"({"ok":true})");
}

void closed(request& r, calls& all) {
    const party one = sender(r);
    tell(r, all.closed(one));
    if (!all.present(one.client)) r.broadcast("{\"client\":" + json_string(one.client) + "}", {.type = "left"});
}

}  // namespace

void add_handlers(foz::service::worker& worker) {
    const auto state = std::make_shared<exchange>();
    const auto add = [&](const char* type, auto handle) {
        worker.on("voice", type, [state, handle](request& r) {
            const std::lock_guard lock(state->mutex);
            handle(r, state->all);
        });
    };
    add("ring", ring);
    add("answer", [](request& r, calls& all) {
        step(r, [&](const party& who, const std::string& call) { return all.answer(who, call); });
    });
    add("hangup", [](request& r, calls& all) {
        step(r, [&](const party& who, const std::string& call) { return all.hang_up(who, call); });
    });
    add("signal", signal);
    add("foz.opened", [](request& r, calls& all) { all.opened(sender(r)); });
    add("foz.closed", closed);
    worker.on("voice", "here", here);
    worker.on("voice", "who", who);
}

}  // namespace voice
