// A service says something that nobody has asked for: everyone who hears it gets it, once and in order.
#pragma once

#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "operations/operation.hpp"

namespace foz::sim {

struct op_say {
    static constexpr std::string_view name = "say";
    static constexpr unsigned weight = 30;
    struct input {
        service* by;
        amqp::publication what;
    };

    static std::optional<input> make(world& w) {
        rng& random = w.around_.random.workload;
        const std::size_t channel = w.any_channel();
        input made{.by = w.services[channel][random.pick(w.services[channel].size())].get(), .what = {}};
        if (!made.by->running()) return std::nullopt;
        amqp::publication& out = made.what;
        out.exchange = contract::outbound_exchange;
        out.routing_key = w.around_.with.channels[channel].name;
        if (random.chance(500)) out.routing_key += "." + w.any_topic();
        out.properties.delivery_mode = 2;
        out.properties.timestamp = static_cast<std::uint64_t>(unix_ms(w.around_.time.wall_now()).count() / 1000);
        out.properties.message_id = "said/" + std::to_string(w.oracle_.next_number());
        amqp::table& headers = out.properties.headers.emplace();
        const std::string to = w.any_receivers();
        if (to == "all") headers.set(contract::header_broadcast, true);
        if (to.starts_with("group:"))
            headers.set(contract::header_multicast, contract::encode_receivers(std::vector{to.substr(6)}));
        if (to.starts_with("client:"))
            headers.set(contract::header_direct, contract::encode_receivers(std::vector{to.substr(7)}));
        out.body = "{\"pad\":\"" + std::string(random.pick(w.around_.with.body_bytes_max), 'z') + "\"}";
        return made;
    }
    static void apply(world&, const input& in) { in.by->say(in.what); }
};

}  // namespace foz::sim
