#include "broker/definitions/topology.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
namespace {

constexpr owner_id nobody = 0;

// The JSON path of what is at fault.
std::string path(const char* section, std::size_t index, const refusal& why) {
    std::string out = std::string(section) + "[" + std::to_string(index) + "]";
    if (why.argument.empty()) return out;
    const bool argument = why.argument.starts_with("x-") || why.argument == "alternate-exchange";
    return out + (argument ? ".arguments." : ".") + why.argument;
}

std::unexpected<std::string> failed(const char* section, std::size_t index, const refusal& why) {
    return std::unexpected(path(section, index, why) + ": " + why.text);
}

// Numbers alike whatever their width, entries in any order: JSON knows neither.
bool alike(const amqp::table& a, const amqp::table& b);
bool alike(const amqp::field_value& a, const amqp::field_value& b) {
    const amqp::table* const first = amqp::as_table(&a);
    const amqp::table* const second = amqp::as_table(&b);
    if (first && second) return alike(*first, *second);
    const auto one = amqp::as_int64(a);
    const auto other = amqp::as_int64(b);
    return one && other ? one == other : a == b;
}

bool alike(const amqp::table& a, const amqp::table& b) {
    return a.size() == b.size() && std::ranges::all_of(a, [&](const amqp::table_entry& one) {
               const amqp::field_value* const other = b.find(one.key);
               return other && alike(one.value, *other);
           });
}

const std::string& name_of(const destination& to) {
    return to.to_exchange ? to.to_exchange->name() : to.to_queue->name();
}

bool is_there(const vhost& in, const binding_request& wish) {
    const auto source = in.exchanges().find(wish.source);
    if (source == in.exchanges().end()) return false;
    return std::ranges::any_of(source->second->bindings(), [&](const binding& one) {
        return (one.to.to_exchange != nullptr) == wish.to_exchange && name_of(one.to) == wish.destination &&
               one.routing_key == wish.routing_key && alike(one.arguments, wish.arguments);
    });
}

void collect_bindings(const vhost& from, const exchange& source, definition_set& to) {
    for (const binding& one : source.bindings()) {
        if (one.to.to_queue && one.to.to_queue->identity().flags.exclusive) continue;
        to.bindings.push_back({from.name(),
                               {.source = source.name(),
                                .destination = name_of(one.to),
                                .to_exchange = one.to.to_exchange != nullptr,
                                .routing_key = one.routing_key,
                                .arguments = one.arguments}});
    }
}

void collect(const vhost& from, definition_set& to) {
    for (const auto& [name, one] : from.queues()) {
        const queue_identity& is = one->identity();
        if (!is.flags.exclusive)
            to.queues.push_back({from.name(), {.name = name, .flags = is.flags, .arguments = is.arguments}});
    }
    for (const auto& [name, one] : from.exchanges()) {
        collect_bindings(from, *one, to);
        const exchange_identity& is = one->identity();
        if (name.empty() || name.starts_with("amq.")) continue;
        to.exchanges.push_back({from.name(),
                                {.name = name,
                                 .type = std::string(to_string(is.kind)),
                                 .durable = is.durable,
                                 .auto_delete = is.auto_delete,
                                 .internal = is.internal,
                                 .arguments = is.arguments}});
    }
}

}  // namespace

std::expected<void, std::string> declare(node& model, const definition_set& what) {
    for (std::size_t i = 0; i < what.exchanges.size(); ++i) {
        const exchange_definition& one = what.exchanges[i];
        if (const auto done = model.find_vhost(one.vhost)->declare(one.is); !done)
            return failed("exchanges", i, done.error());
    }
    for (std::size_t i = 0; i < what.queues.size(); ++i) {
        const queue_definition& one = what.queues[i];
        if (const auto done = model.find_vhost(one.vhost)->declare(one.is, nobody); !done)
            return failed("queues", i, done.error());
    }
    for (std::size_t i = 0; i < what.bindings.size(); ++i) {
        const binding_definition& one = what.bindings[i];
        vhost& in = *model.find_vhost(one.vhost);
        if (is_there(in, one.is)) continue;
        if (const auto done = in.bind(one.is, nobody); !done) return failed("bindings", i, done.error());
    }
    return {};
}

void collect_topology(const node& model, definition_set& to) {
    for (const auto& [name, one] : model.vhosts()) collect(*one, to);
}

}  // namespace foz::broker
