#include "aggregator/shard/dispatcher.hpp"

#include "aggregator/shard/identity.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {

dispatcher::dispatcher(net::runtime& cores, std::vector<gateway*> shards, const settings& all, settled all_have)
    : cores_(cores), all_have_(std::move(all_have)), settled_(all.channels.size(), 0) {
    for (gateway* const to : shards) {
        auto& made = shards_.emplace_back(std::make_unique<shard_state>());
        made->to = to;
        made->dispatched = std::vector<std::atomic<std::uint64_t>>(all.channels.size());
        made->lossy.assign(all.channels.size(), false);
    }
}

void dispatcher::dispatch(const entry_ref& what, bool history, delivery_ticket ticket) {
    const auto only = history ? std::nullopt : only_shard(*what);
    for (unsigned i = 0; i < shards_.size(); ++i) {
        const bool reaches = !history && (!only || *only == i);
        // Who comes back to a durable channel names a place in its stream, which every shard knows.
        if (reaches || what->durable) give(*shards_[i], what, reaches, ticket);
    }
}

std::optional<unsigned> dispatcher::only_shard(const entry& what) const {
    const auto shards = static_cast<unsigned>(shards_.size());
    if (what.answer) return shard_of(what.answer->to.client, shards);
    if (what.too_large || what.routes.size() != 1) return std::nullopt;
    const entry_route& route = what.routes.front();
    if (route.how != envelope::via::direct || route.receivers.size() != 1) return std::nullopt;
    const std::string& receiver = route.receivers.front();
    if (receiver.starts_with(contract::session_prefix)) return std::nullopt;
    return shard_of(client_id(receiver), shards);
}

void dispatcher::give(shard_state& to, const entry_ref& what, bool reaches, delivery_ticket ticket) {
    if (drops(to, *what)) return;
    const std::size_t octets = what->bytes();
    const bool durable = what->durable;
    to.to->home().post(
        [this, &to, what, reaches, ticket, durable] {
            if (reaches) {
                to.to->collect(what);
            } else {
                to.to->sessions().remember(what);
            }
            if (!durable) return;
            to.dispatched[ticket.channel].store(ticket.number, std::memory_order_release);
            // Once for all that this shard dispatches before shard 0 has looked.
            if (!to.told.exchange(true, std::memory_order_acq_rel))
                cores_.at(0).post_control([this, &to] {
                    to.told.store(false, std::memory_order_release);
                    settle();
                });
        },
        octets);
}

bool dispatcher::drops(shard_state& from, const entry& what) {
    if (what.durable || what.answer) return false;
    const std::size_t channel = what.channel;
    if (!from.to->home().mailbox_has_room()) {
        from.lossy[channel] = true;
        ++counters_.dropped;
        return true;
    }
    if (from.lossy[channel]) {
        from.lossy[channel] = false;
        from.to->home().post([to = from.to, channel] { to->sessions().gap(channel, envelope::gap_cause::lost); });
    }
    return false;
}

void dispatcher::settle() {
    for (std::size_t channel = 0; channel < settled_.size(); ++channel) {
        std::uint64_t all = UINT64_MAX;
        for (const auto& one : shards_) all = std::min(all, one->dispatched[channel].load(std::memory_order_acquire));
        if (all == settled_[channel]) continue;
        settled_[channel] = all;
        all_have_({.channel = channel, .number = all});
    }
}

void dispatcher::give_page(const reading_id& to, page what) {
    gateway& way = *shards_[to.shard]->to;
    way.home().post([&way, to, what = std::move(what)]() mutable { way.sessions().on_page(to, std::move(what)); });
}

void dispatcher::tell(std::function<void(hub&)> what) {
    for (auto& one : shards_) one->to->home().post([to = one->to, what] { what(to->sessions()); });
}

void dispatcher::tell_now(std::function<void(hub&)> what) {
    for (auto& one : shards_) one->to->home().post_control([to = one->to, what] { what(to->sessions()); });
}

}  // namespace foz::aggregator
