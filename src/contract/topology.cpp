#include "contract/topology.hpp"

#include "contract/names.hpp"
#include "contract/revocation.hpp"

#include <string>

namespace foz::contract {
namespace {

amqp::exchange_declare make_exchange(std::string_view name, std::string_view type) {
    amqp::exchange_declare declare;
    declare.exchange = name;
    declare.type = type;
    declare.durable = true;
    return declare;
}

amqp::queue_declare make_queue(std::string_view name, amqp::table arguments) {
    amqp::queue_declare declare;
    declare.queue = name;
    declare.durable = true;
    declare.arguments = std::move(arguments);
    return declare;
}

amqp::queue_bind make_binding(std::string_view queue_name, std::string_view exchange_name, std::string_view key,
                              amqp::table arguments = {}) {
    amqp::queue_bind bind;
    bind.queue = queue_name;
    bind.exchange = exchange_name;
    bind.routing_key = key;
    bind.arguments = std::move(arguments);
    return bind;
}

// Quorum queues always: on a single node they have one member, and nobody can tell over AMQP.
amqp::queue_declare work_queue(const channel_settings& channel) {
    amqp::table arguments{{"x-queue-type", "quorum"},
                          {"x-dead-letter-exchange", dead_exchange},
                          {"x-dead-letter-strategy", "at-least-once"},
                          {"x-overflow", "reject-publish"}};
    if (channel.delivery_limit >= 0) arguments.set("x-delivery-limit", channel.delivery_limit);
    if (channel.single_active()) arguments.set("x-single-active-consumer", true);
    return make_queue(channel.in_queue(), std::move(arguments));
}

// A dead letter is kept when someone or something refused it, and told to its caller whatever the reason was.
void add_dead_letters(topology& all) {
    all.exchanges.push_back(make_exchange(dead_exchange, "headers"));
    all.queues.push_back(make_queue(dead_queue, {{"x-queue-type", "quorum"}}));
    all.queues.push_back(make_queue(dead_notice_queue, {{"x-queue-type", "quorum"}}));
    for (const char* reason : {"rejected", "delivery_limit", "expired", "maxlen"}) {
        // Plain "any" ignores headers that begin with "x-".
        const amqp::table match{{"x-match", "any-with-x"}, {"x-first-death-reason", reason}};
        all.bindings.push_back(make_binding(dead_notice_queue, dead_exchange, "", match));
        if (std::string_view(reason) != "expired")
            all.bindings.push_back(make_binding(dead_queue, dead_exchange, "", match));
    }
}

}  // namespace

topology make_topology(std::span<const channel_settings> channels, with_revocations revocations) {
    topology all;
    all.exchanges.push_back(make_exchange(inbound_exchange, "topic"));
    all.exchanges.push_back(make_exchange(outbound_exchange, "topic"));
    all.exchanges.push_back(make_exchange(internal_exchange, "fanout"));
    all.exchanges.push_back(make_exchange(control_exchange, "topic"));
    add_dead_letters(all);
    if (revocations == with_revocations::yes)
        all.queues.push_back(make_queue(revoked_stream, {{"x-queue-type", "stream"}}));
    for (const channel_settings& channel : channels) {
        all.queues.push_back(work_queue(channel));
        all.bindings.push_back(make_binding(channel.in_queue(), inbound_exchange, channel.binding_key()));
        if (channel.delivery != delivery_kind::durable) continue;
        all.queues.push_back(make_queue(channel.out_queue(), {{"x-queue-type", "stream"}}));
        all.bindings.push_back(make_binding(channel.out_queue(), outbound_exchange, channel.binding_key()));
    }
    return all;
}

boost::asio::awaitable<amqp::result<void>> declare(amqp::channel& on, topology what) {
    for (auto& exchange : what.exchanges) {
        auto declared = co_await on.call(std::move(exchange));
        if (!declared) co_return std::unexpected(declared.error());
    }
    for (auto& queue : what.queues) {
        auto declared = co_await on.call(std::move(queue));
        if (!declared) co_return std::unexpected(declared.error());
    }
    for (auto& binding : what.bindings) {
        auto bound = co_await on.call(std::move(binding));
        if (!bound) co_return std::unexpected(bound.error());
    }
    co_return amqp::result<void>{};
}

}  // namespace foz::contract
