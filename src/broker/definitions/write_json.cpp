#include "base/json.hpp"
#include "base/utf8.hpp"
#include "broker/definitions/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>
#include <utility>

namespace foz::broker {
namespace {

std::string json_text(std::string_view text) {
    if (is_utf8(text)) return json_string(text);
    // The protocol lets names and values be any octets.
    std::string replaced;
    for (const char octet : text) {
        if (static_cast<unsigned char>(octet) < 0x80)
            replaced += octet;
        else
            replaced += "\xef\xbf\xbd";
    }
    return json_string(replaced);
}

const char* word(bool value) {
    return value ? "true" : "false";
}

std::string number(double value) {
    if (!std::isfinite(value)) return "null";
    char digits[32];
    const auto [end, failure] = std::to_chars(digits, digits + sizeof(digits), value);
    std::string out(digits, end);
    // It stays what it is when it is read again.
    if (out.find_first_of(".e") == std::string::npos) out += ".0";
    return out;
}

std::string to_json(const amqp::table& of);

std::string to_json(const amqp::field_value& of) {
    return std::visit(
        []<class T>(const T& held) -> std::string {
            if constexpr (std::is_same_v<T, std::monostate>) {
                return "null";
            } else if constexpr (std::is_same_v<T, bool>) {
                return word(held);
            } else if constexpr (std::is_integral_v<T>) {
                return std::to_string(held);
            } else if constexpr (std::is_floating_point_v<T>) {
                return number(held);
            } else if constexpr (std::is_same_v<T, amqp::decimal>) {
                return number(held.value / std::pow(10.0, held.scale));
            } else if constexpr (std::is_same_v<T, std::string>) {
                return json_text(held);
            } else if constexpr (std::is_same_v<T, amqp::byte_array>) {
                return json_text(held.octets);
            } else if constexpr (std::is_same_v<T, amqp::timestamp>) {
                return std::to_string(held.seconds);
            } else if constexpr (std::is_same_v<T, amqp::field_array>) {
                std::string all;
                for (const amqp::field_value& one : held) all += (all.empty() ? "" : ", ") + to_json(one);
                return "[" + all + "]";
            } else {
                return to_json(held);
            }
        },
        of.get());
}

std::string to_json(const amqp::table& of) {
    std::string all;
    for (const amqp::table_entry& one : of)
        all += (all.empty() ? "" : ", ") + json_text(one.key) + ": " + to_json(one.value);
    return "{" + all + "}";
}

std::string to_json(const user_definition& one) {
    std::string tags;
    for (const std::string& tag : one.tags) tags += (tags.empty() ? "" : ", ") + json_text(tag);
    return "{\"name\": " + json_text(one.name) + ", \"password_hash\": " + json_text(one.password_hash) +
           ", \"hashing_algorithm\": " + json_text(to_string(one.algorithm)) + ", \"tags\": [" + tags +
           "], \"limits\": {}}";
}

std::string to_json(const permission_definition& one) {
    return "{\"user\": " + json_text(one.user) + ", \"vhost\": " + json_text(one.vhost) +
           ", \"configure\": " + json_text(one.rules.configure) + ", \"write\": " + json_text(one.rules.write) +
           ", \"read\": " + json_text(one.rules.read) + "}";
}

std::string to_json(const policy& one) {
    return "{\"vhost\": " + json_text(one.vhost) + ", \"name\": " + json_text(one.name) +
           ", \"pattern\": " + json_text(one.pattern) + ", \"apply-to\": " + json_text(to_string(one.apply_to)) +
           ", \"priority\": " + std::to_string(one.priority) + ", \"definition\": " + to_json(one.definition) + "}";
}

std::string to_json(const exchange_definition& one) {
    return "{\"name\": " + json_text(one.is.name) + ", \"vhost\": " + json_text(one.vhost) +
           ", \"type\": " + json_text(one.is.type) + ", \"durable\": " + word(one.is.durable) +
           ", \"auto_delete\": " + word(one.is.auto_delete) + ", \"internal\": " + word(one.is.internal) +
           ", \"arguments\": " + to_json(one.is.arguments) + "}";
}

std::string to_json(const queue_definition& one) {
    const auto type = amqp::as_string(one.is.arguments.find("x-queue-type")).value_or("classic");
    return "{\"name\": " + json_text(one.is.name) + ", \"vhost\": " + json_text(one.vhost) +
           ", \"type\": " + json_text(type) + ", \"durable\": " + word(one.is.flags.durable) +
           ", \"auto_delete\": " + word(one.is.flags.auto_delete) + ", \"arguments\": " + to_json(one.is.arguments) +
           "}";
}

std::string to_json(const binding_definition& one) {
    return "{\"source\": " + json_text(one.is.source) + ", \"vhost\": " + json_text(one.vhost) +
           ", \"destination\": " + json_text(one.is.destination) + ", \"destination_type\": \"" +
           (one.is.to_exchange ? "exchange" : "queue") + "\", \"routing_key\": " + json_text(one.is.routing_key) +
           ", \"arguments\": " + to_json(one.is.arguments) + "}";
}

template <class T>
std::string section(const char* name, const std::vector<T>& all) {
    std::vector<std::string> lines;
    for (const T& one : all) {
        if constexpr (std::is_same_v<T, std::string>)
            lines.push_back("{\"name\": " + json_text(one) + "}");
        else
            lines.push_back(to_json(one));
    }
    std::ranges::sort(lines);  // each begins with its name
    std::string out = "  \"" + std::string(name) + "\": [";
    for (const std::string& line : lines) out += (&line == lines.data() ? "\n    " : ",\n    ") + line;
    return out + (lines.empty() ? "]" : "\n  ]");
}

}  // namespace

std::string to_json(const definition_set& all) {
    return "{\n" + section("vhosts", all.vhosts) + ",\n" + section("users", all.users) + ",\n" +
           section("permissions", all.permissions) + ",\n" +
           section("policies", all.policies.value_or(std::vector<policy>())) + ",\n" +
           section("exchanges", all.exchanges) + ",\n" + section("queues", all.queues) + ",\n" +
           section("bindings", all.bindings) + "\n}\n";
}

}  // namespace foz::broker
