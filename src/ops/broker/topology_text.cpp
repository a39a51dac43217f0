#include "ops/broker/topology_text.hpp"

#include "amqp/codec/field_table.hpp"
#include "base/json.hpp"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

namespace foz::ops {
namespace {

using contract::channel_settings;

// Declarations have no arguments of other types.
std::string to_json(const amqp::field_value& of) {
    if (const auto flag = amqp::as_bool(of)) return *flag ? "true" : "false";
    if (const auto number = amqp::as_int64(of)) return std::to_string(*number);
    const auto text = amqp::as_string(of);
    assert(text);
    return json_string(*text);
}

std::string to_json(const amqp::table& of) {
    std::string all;
    for (const amqp::table_entry& one : of)
        all += (all.empty() ? "" : ", ") + json_string(one.key) + ": " + to_json(one.value);
    return "{" + all + "}";
}

// name=value, for people.
std::string to_words(const amqp::table& of) {
    std::string all;
    for (const amqp::table_entry& one : of) {
        const auto text = amqp::as_string(one.value);
        all += (all.empty() ? "" : ", ") + one.key + "=" + (text ? std::string(*text) : to_json(one.value));
    }
    return all;
}

std::string row(const std::string& name, const std::string& rest) {
    return "  " + name + std::string(name.size() < 14 ? 14 - name.size() : 0, ' ') + "  " + rest + "\n";
}

std::string list(const std::vector<std::string>& items) {
    std::string all;
    for (const std::string& item : items) all += (all.empty() ? "\n    " : ",\n    ") + item;
    return "[" + all + (items.empty() ? "]" : "\n  ]");
}

}  // namespace

std::vector<retention_policy> retention_policies(std::span<const channel_settings> channels) {
    std::vector<retention_policy> all;
    for (const channel_settings& channel : channels) {
        amqp::table limits;
        if (channel.retention_bytes > 0)
            limits.set("max-length-bytes", static_cast<std::int64_t>(channel.retention_bytes));
        if (channel.retention_age.count() > 0)
            limits.set("max-age", std::to_string(channel.retention_age.count()) + "s");
        if (limits.empty()) continue;
        // A stream is shortened by whole segments: one must not be as long as all that is to be kept.
        if (channel.retention_bytes > 0)
            limits.set("stream-max-segment-size-bytes", static_cast<std::int64_t>(std::clamp<std::uint64_t>(
                                                            channel.retention_bytes / 8, 1'000'000, 500'000'000)));
        all.push_back({.name = "foz-" + channel.name,
                       .pattern = "^" + channel.out_queue() + "$",
                       .definition = std::move(limits)});
    }
    return all;
}

std::string describe(std::span<const channel_settings> channels, contract::with_revocations revocations) {
    const contract::topology all = contract::make_topology(channels, revocations);
    std::string text = "exchanges\n";
    for (const auto& one : all.exchanges) text += row(one.exchange, one.type);
    text += "queues\n";
    for (const auto& one : all.queues) text += row(one.queue, to_words(one.arguments));
    for (const channel_settings& channel : channels)
        if (channel.delivery == contract::delivery_kind::volatile_)
            text += row(channel.out_queue() + ".*", "exclusive, one for each foz serve, at most " +
                                                        std::to_string(channel.volatile_max_length) + " messages");
    text += "bindings\n";
    for (const auto& one : all.bindings)
        text += row(one.queue, "from " + one.exchange + ", " +
                                   (one.routing_key.empty() ? to_words(one.arguments) : one.routing_key));
    const auto limits = retention_policies(channels);
    if (!limits.empty()) text += "policies (AMQP can't set them: import what `foz topology export` prints)\n";
    for (const retention_policy& one : limits) text += row(one.pattern, to_words(one.definition));
    return text;
}

std::string definitions(std::span<const channel_settings> channels, contract::with_revocations revocations,
                        const std::string& vhost) {
    const contract::topology all = contract::make_topology(channels, revocations);
    const std::string in_vhost = "\"vhost\": " + json_string(vhost);
    std::vector<std::string> exchanges, queues, bindings, limits;
    for (const auto& one : all.exchanges)
        exchanges.push_back("{\"name\": " + json_string(one.exchange) + ", " + in_vhost +
                            ", \"type\": " + json_string(one.type) +
                            ", \"durable\": true, \"auto_delete\": false, \"internal\": false, " +
                            "\"arguments\": " + to_json(one.arguments) + "}");
    for (const auto& one : all.queues)
        queues.push_back("{\"name\": " + json_string(one.queue) + ", " + in_vhost +
                         ", \"durable\": true, \"auto_delete\": false, \"arguments\": " + to_json(one.arguments) + "}");
    for (const auto& one : all.bindings)
        bindings.push_back("{\"source\": " + json_string(one.exchange) + ", " + in_vhost +
                           ", \"destination\": " + json_string(one.queue) +
                           ", \"destination_type\": \"queue\", \"routing_key\": " + json_string(one.routing_key) +
                           ", \"arguments\": " + to_json(one.arguments) + "}");
    for (const retention_policy& one : retention_policies(channels))
        limits.push_back("{\"name\": " + json_string(one.name) + ", " + in_vhost +
                         ", \"pattern\": " + json_string(one.pattern) + ", \"apply-to\": \"queues\", \"priority\": " +
                         std::to_string(one.priority) + ", \"definition\": " + to_json(one.definition) + "}");
    return "{\n  \"vhosts\": [{\"name\": " + json_string(vhost) + "}],\n  \"exchanges\": " + list(exchanges) +
           ",\n  \"queues\": " + list(queues) + ",\n  \"bindings\": " + list(bindings) +
           ",\n  \"policies\": " + list(limits) + "\n}\n";
}

}  // namespace foz::ops
