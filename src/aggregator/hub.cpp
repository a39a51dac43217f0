#include "aggregator/hub.hpp"

#include "aggregator/session.hpp"
#include "contract/names.hpp"
#include "contract/topology.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

amqp::client_options publish_options(const settings& all, unsigned shard) {
    return {.urls = all.publish_urls,
            .connection_name = all.name + " publish " + std::to_string(shard),
            .tls = all.broker_tls};
}

}  // namespace

hub::hub(net::shard& home, const settings& all, amqp::client_events* events)
    : home_(home),
      settings_(all),
      client_(home, publish_options(all, home.index()), events),
      subscriptions_(all.channels.size()),
      reply_queues_(all.channels.size()),
      positions_(all.channels.size()) {
    for (std::size_t i = 0; i < all.channels.size(); ++i) {
        publishers_.push_back(std::make_unique<amqp::publisher>(client_));
        publishers_.back()->set_recipe(
            [this](amqp::channel& on) { return contract::declare(on, contract::make_topology(settings_.channels)); });
    }
}

hub::~hub() = default;

boost::asio::awaitable<void> hub::stop() {
    return client_.stop();
}

std::uint64_t hub::add(session& who) {
    const std::uint64_t serial = next_serial_++;
    sessions_.emplace(serial, &who);
    by_client_[who.client.str()].push_back(&who);
    return serial;
}

void hub::remove(session& who) {
    if (sessions_.erase(who.serial()) == 0) return;
    for (auto& channel : subscriptions_) channel.remove(who);
    const auto at = by_client_.find(who.client.view());
    std::erase(at->second, &who);
    if (at->second.empty()) by_client_.erase(at);
}

session* hub::find(std::uint64_t serial) const {
    const auto at = sessions_.find(serial);
    return at == sessions_.end() ? nullptr : at->second;
}

void hub::publish(std::size_t channel, amqp::publication message, amqp::publisher::on_outcome done) {
    ++counters_.published;
    publishers_[channel]->publish(std::move(message), settings_.publish_timeout, std::move(done));
}

void hub::dispatch(const outbound& message) {
    if (message.where) positions_[message.channel] = message.where;
    if (message.answer) return deliver(*message.answer);
    ++round_;
    for (const outbound_route& route : message.routes) deliver(message, route, round_);
}

void hub::deliver(const outbound& message, const outbound_route& route, std::uint64_t round) {
    frame_ref frame;  // made at the first receiver: most messages have none on most shards
    const auto to = [&](subscriber& who) {
        if (!frame) frame = frame_ref::of(route.frame);
        static_cast<session&>(who).deliver(frame, message.durable);
    };
    const channel_subscriptions& heard = subscriptions_[message.channel];
    switch (route.how) {
        case envelope::via::direct:
            for (const std::string& receiver : route.receivers) {
                if (receiver.starts_with(contract::session_prefix)) {
                    heard.direct_session(std::string_view(receiver).substr(contract::session_prefix.size()), round, to);
                } else {
                    heard.direct(receiver, round, to);
                }
            }
            return;
        case envelope::via::multicast:
            return heard.multicast(route.receivers.front(), message.topic, round, to);
        case envelope::via::broadcast:
            return heard.broadcast(message.topic, round, to);
    }
}

void hub::deliver(const outbound_answer& answer) {
    const auto at = by_client_.find(answer.to.client.view());
    if (at == by_client_.end()) return;
    for (session* who : at->second)
        if (who->take_answer(answer)) return;
    // The socket that asked is gone. The client may be back on another one, where primus-responder still knows the
    // request by its id; whoever does not know it ignores it.
    for (session* who : at->second) who->pass_answer(answer);
}

void hub::interrupt(std::size_t channel) {
    reply_queues_[channel].clear();
    for (const auto& [serial, who] : sessions_) who->interrupt(channel);
}

void hub::drain() {
    for (const auto& [serial, who] : sessions_) who->drain();
}

std::size_t hub::unconfirmed() const {
    std::size_t all = 0;
    for (const auto& publisher : publishers_) all += publisher->pending();
    return all;
}

std::optional<std::size_t> hub::channel_index(std::string_view name) const {
    const auto& all = settings_.channels;
    const auto at = std::find_if(all.begin(), all.end(), [&](const auto& channel) { return channel.name == name; });
    if (at == all.end()) return std::nullopt;
    return static_cast<std::size_t>(at - all.begin());
}

}  // namespace foz::aggregator
