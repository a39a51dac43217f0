#include "contract/revocation.hpp"

#include "base/json.hpp"
#include "base/wall_time.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

#include <simdjson.h>

namespace foz::contract {
namespace {

using text_member = std::pair<const char*, std::string revocation::*>;
constexpr std::array<text_member, 4> text_members{{{"client", &revocation::client},
                                                   {"issuer", &revocation::issuer},
                                                   {"token_id", &revocation::token_id},
                                                   {"session", &revocation::session}}};

wall_time of_ms(std::int64_t ms) {
    using std::chrono::milliseconds;
    return as_wall_time(std::chrono::sys_time<milliseconds>(milliseconds(ms)));
}

}  // namespace

std::string to_json(const revocation& what) {
    std::string out = "{\"until_ms\":" + std::to_string(unix_ms(what.until).count());
    for (const auto& [name, member] : text_members)
        if (!(what.*member).empty()) out += std::string(",\"") + name + "\":" + json_string(what.*member);
    if (what.issued_before) out += ",\"issued_before_ms\":" + std::to_string(unix_ms(*what.issued_before).count());
    return out + "}";
}

std::optional<revocation> parse_revocation(std::string_view json) {
    simdjson::dom::parser parser;
    simdjson::dom::object all;
    std::int64_t ms = 0;
    if (parser.parse(json.data(), json.size()).get(all) != simdjson::SUCCESS ||
        all["until_ms"].get(ms) != simdjson::SUCCESS)
        return std::nullopt;
    revocation made;
    made.until = of_ms(ms);
    for (const auto& [name, member] : text_members) {
        std::string_view text;
        const auto failure = all[name].get(text);
        if (failure == simdjson::NO_SUCH_FIELD) continue;
        if (failure != simdjson::SUCCESS || text.empty()) return std::nullopt;
        made.*member = text;
    }
    const auto failure = all["issued_before_ms"].get(ms);
    if (failure == simdjson::SUCCESS) made.issued_before = of_ms(ms);
    if (failure != simdjson::SUCCESS && failure != simdjson::NO_SUCH_FIELD) return std::nullopt;
    const bool says_whom =
        !made.client.empty() || !made.token_id.empty() || !made.session.empty() || made.issued_before;
    return says_whom ? std::optional(std::move(made)) : std::nullopt;
}

std::string revoking_user(const std::vector<amqp::url>& brokers) {
    std::string user;
    for (const amqp::url& each : brokers) {
        if (each.auth_mechanism == "EXTERNAL" || (!user.empty() && each.user != user)) return {};
        user = each.user;
    }
    return user;
}

amqp::publication make_publication(const revocation& what, const std::string& message_id, wall_time now,
                                   const std::string& user) {
    constexpr std::uint8_t persistent = 2;  // AMQP 0-9-1 §1.8, delivery-mode
    amqp::publication made;
    made.routing_key = revoked_stream;
    made.body = to_json(what);
    made.properties.content_type = "application/json";
    made.properties.delivery_mode = persistent;
    made.properties.message_id = message_id;
    if (!user.empty()) made.properties.user_id = user;
    made.properties.timestamp =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(unix_ms(now)).count());
    return made;
}

}  // namespace foz::contract
