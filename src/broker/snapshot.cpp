#include "broker/snapshot.hpp"

#include "broker/core/node.hpp"
#include "broker/front/server.hpp"

#include <algorithm>
#include <tuple>

namespace foz::broker {
namespace {

void tell(const queue& one, snapshot& out) {
    const queue_identity& is = one.identity();
    const bool keeps = is.settings.kind == queue_kind::stream;
    out.queues.push_back({.vhost = is.vhost,
                          .name = is.name,
                          .kind = is.settings.kind,
                          .flags = is.flags,
                          .arguments = is.arguments,
                          .ready = keeps ? one.message_count() : one.ready_count(),
                          .unacknowledged = one.unacked_count(),
                          .bytes = one.message_bytes(),
                          .consumers = one.consumer_count(),
                          .counters = one.counters()});
}

void tell(const vhost& of, snapshot& out) {
    for (const auto& [name, one] : of.queues()) tell(*one, out);
    for (const auto& [name, one] : of.exchanges()) {
        if (name.empty()) continue;
        const exchange_identity& is = one->identity();
        out.exchanges.push_back({.vhost = of.name(),
                                 .name = is.name,
                                 .type = std::string(to_string(is.kind)),
                                 .durable = is.durable,
                                 .auto_delete = is.auto_delete,
                                 .internal = is.internal,
                                 .arguments = is.arguments});
        for (const binding& bound : one->bindings())
            out.bindings.push_back(
                {.vhost = of.name(),
                 .source = is.name,
                 .to_exchange = bound.to.to_exchange != nullptr,
                 .destination = bound.to.to_exchange ? bound.to.to_exchange->name() : bound.to.to_queue->name(),
                 .routing_key = bound.routing_key,
                 .arguments = bound.arguments});
    }
}

}  // namespace

snapshot look_at(const node& model, const server& door) {
    snapshot out;
    out.blocked = door.blocked();
    for (const auto& [name, one] : model.vhosts()) {
        out.vhosts.push_back(name);
        tell(*one, out);
    }
    door.tell(out.connections, out.consumers);
    // In an order that stays the same from one look to the next.
    std::ranges::sort(out.queues, {}, [](const queue_info& one) { return std::tie(one.vhost, one.name); });
    std::ranges::sort(out.exchanges, {}, [](const exchange_info& one) { return std::tie(one.vhost, one.name); });
    std::ranges::sort(out.connections, {}, &connection_info::peer);
    return out;
}

}  // namespace foz::broker
