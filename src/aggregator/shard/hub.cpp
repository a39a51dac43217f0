#include "aggregator/shard/hub.hpp"

#include "aggregator/session/session.hpp"
#include "contract/names.hpp"
#include "contract/topology.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

// Clients that are sent away come back somewhere: not all at once.
constexpr std::chrono::milliseconds drain_pace{10};

amqp::client_options publish_options(const settings& all, unsigned shard) {
    return {.urls = all.publish_urls,
            .connection_name = all.name + " publish " + std::to_string(shard),
            .tls = all.broker_tls};
}

std::string client_of(const amqp::publication& message) {
    const auto& headers = message.properties.headers;
    return std::string(amqp::as_string(headers ? headers->find(contract::header_client) : nullptr).value_or(""));
}

}  // namespace

hub::hub(net::shard& home, const settings& all, catch_up_port older)
    : home_(home),
      settings_(all),
      older_(std::move(older)),
      client_(home, publish_options(all, home.index())),
      requests_(*this, all.outcomes_max) {
    for (std::size_t i = 0; i < all.channels.size(); ++i) {
        auto& made = channels_.emplace_back(all, names_);
        made.publisher = std::make_unique<amqp::publisher>(client_);
        made.publisher->set_recipe(
            [this](amqp::channel& on) { return contract::declare(on, contract::make_topology(settings_.channels)); });
    }
}

hub::~hub() = default;

void hub::start() {
    client_.start();
    position_timer_.start(home_.wheel(), settings_.position_interval);
}

boost::asio::awaitable<void> hub::stop() {
    position_timer_.cancel();
    return client_.stop();
}

std::uint64_t hub::add(session& who) {
    const std::uint64_t serial = next_serial_++;
    const member taken = take_slot(who);
    sessions_.emplace(serial, std::pair(&who, taken));
    names_.add(taken, who.client, who.spark);
    return serial;
}

member hub::take_slot(session& who) {
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot].first = &who;
    return {slot, ++slots_[slot].second};
}

void hub::remove(session& who) {
    const auto at = sessions_.find(who.serial());
    if (at == sessions_.end()) return;
    const member gone = at->second.second;
    for (auto& channel : channels_) {
        channel.heard.drop(gone);
        channel.trackers.erase(&who);
    }
    names_.remove(gone);
    slots_[gone.slot].first = nullptr;
    free_slots_.push_back(gone.slot);
    sessions_.erase(at);
}

session* hub::find(std::uint64_t serial) const {
    const auto at = sessions_.find(serial);
    return at == sessions_.end() ? nullptr : at->second.first;
}

void hub::publish(std::size_t channel, amqp::publication message, amqp::publisher::on_outcome done) {
    ++counters_.published;
    if (settings_.channels[channel].order == contract::order_kind::none)
        return channels_[channel].publisher->publish(std::move(message), settings_.publish_timeout, std::move(done));
    // One unconfirmed message for each client: a message that is repeated after a failure can't overtake another.
    const std::string client = client_of(message);
    auto& queue = channels_[channel].ordered[client];
    queue.push_back({std::move(message), std::move(done)});
    if (queue.size() == 1) publish_next(channel, client);
}

void hub::publish_next(std::size_t channel, const std::string& client) {
    auto& first = channels_[channel].ordered[client].front();
    channels_[channel].publisher->publish(std::move(first.message), settings_.publish_timeout,
                                          [this, channel, client](amqp::outcome result) {
                                              auto& queue = channels_[channel].ordered[client];
                                              auto told = std::move(queue.front().done);
                                              queue.pop_front();
                                              if (queue.empty()) {
                                                  channels_[channel].ordered.erase(client);
                                              } else {
                                                  publish_next(channel, client);
                                              }
                                              if (told) told(result);
                                          });
}

bool hub::no_service(std::size_t channel, bool fail_fast) const {
    const auto& since = channels_[channel].no_service_since;
    if (!since) return false;
    return fail_fast || home_.time().now() - *since >= settings_.channels[channel].no_service_after;
}

void hub::set_service(std::size_t channel, bool there) {
    auto& since = channels_[channel].no_service_since;
    if (there) {
        since.reset();
    } else if (!since) {
        since = home_.time().now();
    }
}

void hub::interrupt(std::size_t channel) {
    channels_[channel].reply_queue.clear();
    requests_.interrupt(channel);
}

void hub::drain() {
    position_timer_.cancel();
    const auto count = static_cast<std::int64_t>(sessions_.size());
    const auto spread = std::min(settings_.drain_spread, drain_pace * count);
    std::int64_t i = 0;
    for (const auto& [serial, who] : sessions_) who.first->drain(spread * i++ / std::max<std::int64_t>(count, 1));
}

std::size_t hub::unconfirmed() const {
    std::size_t all = 0;
    for (const auto& channel : channels_) all += channel.publisher->pending();
    return all;
}

std::optional<std::size_t> hub::channel_index(std::string_view name) const {
    const auto& all = settings_.channels;
    const auto at = std::find_if(all.begin(), all.end(), [&](const auto& channel) { return channel.name == name; });
    if (at == all.end()) return std::nullopt;
    return static_cast<std::size_t>(at - all.begin());
}

}  // namespace foz::aggregator
