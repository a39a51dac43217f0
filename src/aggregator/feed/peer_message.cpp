#include "aggregator/feed/peer_message.hpp"

#include "base/json_writer.hpp"
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

void add_sessions(json_writer& to, std::string_view name, std::span<const present_session> all) {
    to.key(name).open('[');
    for (const present_session& one : all)
        to.open('[').value(one.channel).value(one.client).value(one.session).close(']');
    to.close(']');
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
    json_writer to;
    to.open('{').member("v", peer_version).member("from", what.from);
    to.member("kind", peer_kinds[static_cast<std::size_t>(what.what)]);
    if (what.what == kind::ask || what.what == kind::closed) to.member("whom", what.whom);
    if (what.what == kind::alive || what.what == kind::presence || what.what == kind::snapshot ||
        what.what == kind::closed)
        to.member("seq", what.seq);
    if (what.what == kind::presence || what.what == kind::snapshot) add_sessions(to, "opened", what.opened);
    if (what.what == kind::presence) add_sessions(to, "closed", what.closed);
    if (what.what == kind::snapshot || what.what == kind::closed) {
        if (what.first) to.member("first", true);
        if (what.last) to.member("last", true);
    }
    if (what.what == kind::told) {
        to.member("client", what.client).member("request", what.request).member("json", what.json);
        if (!what.device.empty()) to.member("device", what.device);
    }
    to.close('}');
    return std::move(to).text();
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
