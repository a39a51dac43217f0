#include "aggregator/feed/peer_message.hpp"

#include "base/json.hpp"
#include "base/utf8.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <simdjson.h>

namespace foz::aggregator {
namespace {

constexpr std::uint64_t peer_version = 1;
constexpr std::array<std::string_view, 7> peer_kinds{"alive",   "presence", "ask", "snapshot",
                                                     "leaving", "closed",   "told"};

void append_sessions(std::string& out, std::string_view name, std::span<const present_session> all) {
    out.append(",\"").append(name).append("\":[");
    bool first = true;
    for (const present_session& one : all) {
        out += first ? "[" : ",[";
        first = false;
        append_json_string(out, one.channel);
        append_json_string(out += ',', one.client);
        append_json_string(out += ',', one.session);
        out += ']';
    }
    out += ']';
}

using simdjson::dom::object;

std::string member_text(const object& from, std::string_view key) {
    std::string_view found;
    return from[key].get_string().get(found) == simdjson::SUCCESS ? std::string(found) : std::string();
}

bool member_flag(const object& from, std::string_view key) {
    bool found = false;
    return from[key].get_bool().get(found) == simdjson::SUCCESS && found;
}

std::optional<std::vector<present_session>> member_sessions(const object& from, std::string_view key) {
    std::vector<present_session> all;
    simdjson::dom::array list;
    if (from[key].get_array().get(list) != simdjson::SUCCESS) return all;
    for (const auto& one : list) {
        simdjson::dom::array parts;
        std::string_view channel, client, session;
        if (one.get_array().get(parts) != simdjson::SUCCESS || parts.at(0).get_string().get(channel) ||
            parts.at(1).get_string().get(client) || parts.at(2).get_string().get(session))
            return std::nullopt;
        all.push_back({std::string(channel), std::string(client), std::string(session)});
    }
    return all;
}

}  // namespace

std::string to_json(const peer_message& what) {
    using kind = peer_message::kind;
    std::string out = "{\"v\":" + std::to_string(peer_version) + ",\"from\":" + json_string(what.from) + ",\"kind\":\"";
    out.append(peer_kinds[static_cast<std::size_t>(what.what)]).append("\"");
    const auto text = [&out](std::string_view name, std::string_view value) {
        append_json_string(out.append(",\"").append(name).append("\":"), value);
    };
    if (what.what == kind::ask || what.what == kind::closed) text("whom", what.whom);
    if (what.what == kind::alive || what.what == kind::presence || what.what == kind::snapshot ||
        what.what == kind::closed)
        out += ",\"seq\":" + std::to_string(what.seq);
    if (what.what == kind::presence || what.what == kind::snapshot) append_sessions(out, "opened", what.opened);
    if (what.what == kind::presence) append_sessions(out, "closed", what.closed);
    if (what.what == kind::snapshot || what.what == kind::closed) {
        if (what.first) out += ",\"first\":true";
        if (what.last) out += ",\"last\":true";
    }
    if (what.what == kind::told) {
        text("client", what.client);
        text("request", what.request);
        text("json", what.json);
        if (!what.device.empty()) text("device", what.device);
    }
    return out + '}';
}

std::optional<peer_message> parse_peer_message(std::string_view body) {
    thread_local simdjson::dom::parser parser;
    simdjson::dom::element root;
    object all;
    std::uint64_t version = 0;
    if (parser.parse(body.data(), body.size()).get(root) || root.get_object().get(all) ||
        all["v"].get_uint64().get(version) || version != peer_version)
        return std::nullopt;
    const auto kind = std::ranges::find(peer_kinds, member_text(all, "kind"));
    peer_message out{.what = static_cast<peer_message::kind>(kind - peer_kinds.begin()),
                     .from = member_text(all, "from"),
                     .whom = member_text(all, "whom")};
    if (kind == peer_kinds.end() || out.from.empty()) return std::nullopt;
    if (all["seq"].get_uint64().get(out.seq)) out.seq = 0;
    auto opened = member_sessions(all, "opened"), closed = member_sessions(all, "closed");
    if (!opened || !closed) return std::nullopt;
    out.opened = *std::move(opened);
    out.closed = *std::move(closed);
    out.first = member_flag(all, "first");
    out.last = member_flag(all, "last");
    out.client = member_text(all, "client");
    out.request = member_text(all, "request");
    out.json = member_text(all, "json");
    out.device = member_text(all, "device");
    return out;
}

}  // namespace foz::aggregator
