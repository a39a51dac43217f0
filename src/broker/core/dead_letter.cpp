#include "broker/core/dead_letter.hpp"

#include "amqp/codec/property_view.hpp"

#include <algorithm>

namespace foz::broker {
namespace {

using amqp::field_array;
using amqp::field_value;
using amqp::table;

bool says(const table& death, const char* key, std::string_view value) {
    return amqp::as_string(death.find(key)) == value;
}

field_array keys_array(const std::vector<std::string>& keys) {
    field_array out;
    for (const std::string& key : keys) out.emplace_back(key);
    return out;
}

// Adds a death to x-death: the newest first, one entry for each queue and reason.
void count_death(table& headers, table death) {
    field_array deaths;
    if (const field_array* const before = amqp::as_array(headers.find("x-death"))) deaths = *before;
    const auto same = std::ranges::find_if(deaths, [&](const field_value& one) {
        const table* const t = amqp::as_table(one);
        return t && says(*t, "queue", *amqp::as_string(death.find("queue"))) &&
               says(*t, "reason", *amqp::as_string(death.find("reason")));
    });
    if (same != deaths.end()) {
        table known = *amqp::as_table(*same);
        known.set("count", amqp::as_int64(known.find("count")).value_or(1) + 1);
        deaths.erase(same);
        death = std::move(known);
    }
    deaths.insert(deaths.begin(), field_value(std::move(death)));
    headers.set("x-death", std::move(deaths));
}

message_ref remade(const message& what, const std::string& exchange, const std::string& routing_key,
                   const amqp::basic_properties& properties) {
    const auto encoded = amqp::encode_properties(properties);
    if (!encoded) return {};
    auto made = message::make({.exchange = exchange,
                               .routing_key = routing_key,
                               .properties = *encoded,
                               .body = what.body(),
                               .body_file = what.body_file()});
    return made ? std::move(*made) : message_ref();
}

}  // namespace

std::string_view to_string(death why) noexcept {
    switch (why) {
        case death::rejected:
            return "rejected";
        case death::expired:
            return "expired";
        case death::maxlen:
            return "maxlen";
        case death::delivery_limit:
            return "delivery_limit";
    }
    return {};
}

std::optional<dead_letter> make_dead_letter(const queue& from, const entry& dead, death why, std::int64_t now_ms) {
    const message& what = *dead.what;
    amqp::basic_properties properties = amqp::decode_properties(what.properties());
    std::vector<std::string> keys{std::string(what.routing_key())};
    const carbon_copies copies = find_carbon_copies(what);
    keys.insert(keys.end(), copies.keys.begin(), copies.keys.end());

    table headers = properties.headers ? std::move(*properties.headers) : table();
    table death{{"count", std::int64_t{1}},    {"reason", to_string(why)},
                {"queue", from.name()},        {"time", amqp::timestamp{static_cast<std::uint64_t>(now_ms / 1000)}},
                {"exchange", what.exchange()}, {"routing-keys", keys_array(keys)}};
    if (properties.expiration) death.append("original-expiration", *properties.expiration);
    count_death(headers, std::move(death));
    if (!headers.find("x-first-death-reason")) {
        headers.append("x-first-death-reason", to_string(why));
        headers.append("x-first-death-queue", from.name());
        headers.append("x-first-death-exchange", what.exchange());
    }
    dead_letter out;
    if (const auto& key = from.settings().dead_letter_routing_key) {
        headers.erase("CC");
        out.routing_keys = {*key};
    } else {
        out.routing_keys = std::move(keys);
    }
    properties.headers = std::move(headers);
    properties.expiration.reset();
    out.what = remade(what, *from.settings().dead_letter_exchange, out.routing_keys.front(), properties);
    if (!out.what) return std::nullopt;
    return out;
}

bool is_cycle(const message& what, std::string_view queue) {
    if (!amqp::has_key(what.headers(), "x-death")) return false;
    const amqp::basic_properties properties = amqp::decode_properties(what.properties());
    const field_array* const deaths = amqp::as_array(properties.headers->find("x-death"));
    if (!deaths) return false;
    for (const field_value& one : *deaths) {
        const table* const death = amqp::as_table(one);
        if (!death || says(*death, "reason", "rejected")) return false;
        if (says(*death, "queue", queue)) return true;
    }
    return false;
}

carbon_copies find_carbon_copies(const message& what) {
    carbon_copies out;
    const std::string_view headers = what.headers();
    out.bcc = amqp::has_key(headers, "BCC");
    if (!out.bcc && !amqp::has_key(headers, "CC")) return out;
    const amqp::basic_properties properties = amqp::decode_properties(what.properties());
    for (const char* const name : {"CC", "BCC"}) {
        const field_value* const value = properties.headers->find(name);
        if (!value) continue;
        const field_array* const keys = amqp::as_array(value);
        if (!keys) {
            out.valid = false;
            continue;
        }
        for (const field_value& key : *keys)
            if (const auto text = amqp::as_string(key)) out.keys.emplace_back(*text);
    }
    return out;
}

message_ref without_bcc(const message& what) {
    amqp::basic_properties properties = amqp::decode_properties(what.properties());
    properties.headers->erase("BCC");
    return remade(what, std::string(what.exchange()), std::string(what.routing_key()), properties);
}

}  // namespace foz::broker
