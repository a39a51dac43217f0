// What clients hear of volatile channels: in its order, and what is left out is said to be.
#include "clients/client.hpp"
#include "oracle/oracle.hpp"

#include <algorithm>

namespace foz::sim {
namespace {

// A gap may be told behind what came after it: when the socket takes octets again, or when the broker has told the
// aggregator what it dropped.
constexpr std::chrono::seconds told_within{20};

}  // namespace

void oracle::note_volatile(const amqp::publication& what) {
    const auto& all = around_.with.channels;
    const std::string name = what.routing_key.substr(0, what.routing_key.find('.'));
    const auto at = std::ranges::find(all, name, &contract::channel_settings::name);
    const auto channel = static_cast<std::size_t>(at - all.begin());
    if (at == all.end() || durable(channel)) return;
    stream_entry made{.at = around_.time.now(), .id = what.properties.message_id.value_or("")};
    address(made, name, what.routing_key, what.properties);
    std::string id = made.id;
    volatile_.emplace_back(channel, std::move(made));
    volatile_order_[std::move(id)].push_back(volatile_.size());
}

void oracle::hears_volatile(client& who, std::size_t channel, listening& state, const heard& frame) {
    found_.compared(invariant::out_of_order);
    const auto order = volatile_order_.find(frame.id);
    if (order == volatile_order_.end()) return;
    // What was published again may have reached this aggregator's queue the second time only.
    const auto at = std::ranges::upper_bound(order->second, state.sequence);
    if (at == order->second.end())
        return found_.add(invariant::out_of_order, "{} hears {} on {} too late", who.name(), frame.id, frame.channel);
    for (std::uint64_t number = state.certain + 1; state.certain != 0 && number < *at && !state.untold; ++number) {
        const auto& [of, entry] = volatile_[number - 1];
        if (of != channel || !entry.addressed || entry.expires || volatile_order_[entry.id].size() > 1) continue;
        found_.compared(invariant::gap_not_told);
        if (wants(who, state.granted_by_then, entry)) state.untold = left_out{entry.id, around_.time.now()};
    }
    state.sequence = *at;
    if (order->second.size() == 1) {
        state.certain = *at;
        state.granted_by_then = state.wanted;
    }
    check_untold(who, channel, state);
}

void oracle::check_untold(const client& who, std::size_t channel, const listening& state) {
    if (!state.untold || around_.time.now() - state.untold->noticed < told_within || disturbed_recently(who)) return;
    found_.add(invariant::gap_not_told, "{} has not heard {} on {} and is not told", who.name(), state.untold->id,
               around_.with.channels[channel].name);
}

}  // namespace foz::sim
