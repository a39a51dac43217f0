#include "ops/broker/grants.hpp"

#include "contract/names.hpp"
#include "contract/revocation.hpp"
#include "contract/topology.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

namespace foz::ops {
namespace {

using contract::channel_settings;

// The default exchange, as RabbitMQ calls it where permissions are meant.
constexpr std::string_view default_exchange = "amq.default";
// Queues of workers' own: for answers to their questions, and for what is called off (service/asker, cancel_watch).
constexpr std::string_view answers_prefix = "ANSWERS";

std::string escaped(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (std::string_view(".^$*+?()[]{}|\\").contains(c)) out += '\\';
        out += c;
    }
    return out;
}

class names {
public:
    names& add(std::string_view name) {
        all_.push_back(escaped(name));
        return *this;
    }
    // A queue of one process: "<prefix>.<token>".
    names& add_own(std::string_view prefix) {
        all_.push_back(escaped(prefix) + "\\..+");
        return *this;
    }
    std::string expression() && {
        std::ranges::sort(all_);
        all_.erase(std::ranges::unique(all_).begin(), all_.end());
        if (all_.empty()) return "^$";
        std::string out;
        for (const std::string& one : all_) out.append(out.empty() ? "^(" : "|").append(one);
        return out + ")$";
    }

private:
    std::vector<std::string> all_;
};

bool is_volatile(const channel_settings& one) {
    return one.delivery == contract::delivery_kind::volatile_;
}

permissions of_aggregator(const granted_for& what) {
    const auto& [channels, revocations, connect_service] = what;
    names own, write, read;
    own.add_own(contract::internal_exchange);
    read.add(contract::outbound_exchange).add(contract::internal_exchange).add(contract::dead_notice_queue);
    if (revocations == contract::with_revocations::yes) read.add(contract::revoked_stream);
    for (const auto& one : channels) {
        if (is_volatile(one))
            own.add_own(one.out_queue());
        else
            read.add(one.out_queue());
    }
    // A queue is bound by who may write to it and read from its exchange; what drops its oldest messages may write
    // where these go (the default exchange).
    write = own;
    for (const std::string_view one : {contract::inbound_exchange, contract::outbound_exchange,
                                       contract::internal_exchange, contract::control_exchange, default_exchange})
        write.add(one);
    read.add_own(contract::internal_exchange);
    for (const auto& one : channels)
        if (is_volatile(one)) read.add_own(one.out_queue());
    // Bound to nothing: its answers come by its name.
    if (connect_service)
        for (names* const one : {&own, &read}) one->add_own(contract::connect_prefix);
    return {std::move(own).expression(), std::move(write).expression(), std::move(read).expression()};
}

permissions of_worker(std::span<const channel_settings> channels) {
    names own, write, read;
    for (names* const one : {&own, &write, &read}) one->add_own(answers_prefix).add_own(contract::control_exchange);
    write.add(contract::outbound_exchange).add(contract::inbound_exchange).add(default_exchange);
    read.add(contract::control_exchange);
    for (const auto& one : channels) {
        read.add(one.in_queue());
        if (!is_volatile(one)) read.add(one.out_queue());
    }
    return {std::move(own).expression(), std::move(write).expression(), std::move(read).expression()};
}

// Whoever declares a queue with a dead letter exchange reads the queue and writes to the exchange.
permissions of_topology(std::span<const channel_settings> channels, contract::with_revocations revocations) {
    names configure, write, read;
    const contract::topology all = contract::make_topology(channels, revocations);
    for (const auto& one : all.exchanges) {
        configure.add(one.exchange);
        read.add(one.exchange);
    }
    for (const auto& one : all.queues) {
        configure.add(one.queue);
        write.add(one.queue);
        read.add(one.queue);
    }
    write.add(contract::dead_exchange);
    return {std::move(configure).expression(), std::move(write).expression(), std::move(read).expression()};
}

}  // namespace

std::optional<broker_user> broker_user_of(std::string_view name) {
    if (name == "aggregator") return broker_user::aggregator;
    if (name == "worker") return broker_user::worker;
    if (name == "topology") return broker_user::topology;
    return std::nullopt;
}

permissions permissions_of(broker_user who, const granted_for& what) {
    switch (who) {
        case broker_user::aggregator:
            return of_aggregator(what);
        case broker_user::worker:
            return of_worker(what.channels);
        case broker_user::topology:
            return of_topology(what.channels, what.revocations);
    }
    return {};
}

}  // namespace foz::ops
