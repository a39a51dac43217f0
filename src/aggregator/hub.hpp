// The sockets of one shard: who they are, what they hear, and the way to the broker.
#pragma once

#include "aggregator/outbound.hpp"
#include "aggregator/settings.hpp"
#include "aggregator/subscriptions.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "envelope/envelope.hpp"
#include "primus/packet.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace foz::aggregator {

class session;

struct hub_counters {
    std::uint64_t frames_in = 0;       // data frames from clients
    std::uint64_t frames_refused = 0;  // of these, answered with an error
    std::uint64_t published = 0;
    std::uint64_t deliveries = 0;          // messages to sockets
    std::uint64_t deliveries_dropped = 0;  // of volatile channels, to slow sockets
    std::uint64_t answers = 0;
    std::uint64_t slow_closed = 0;
    std::uint64_t silent_closed = 0;  // no sign of life for a whole ping interval
};

// Lives on one shard; outlives its sessions.
class hub {
public:
    hub(net::shard& home, const settings& all, amqp::client_events* events);
    ~hub();
    hub(const hub&) = delete;
    hub& operator=(const hub&) = delete;

    void start() { client_.start(); }
    boost::asio::awaitable<void> stop();

    // From sessions.
    std::uint64_t add(session& who);
    void remove(session& who);
    session* find(std::uint64_t serial) const;
    void publish(std::size_t channel, amqp::publication message, amqp::publisher::on_outcome done);
    channel_subscriptions& heard_on(std::size_t channel) { return subscriptions_[channel]; }
    // Where a service's answers go; empty while a volatile channel has no queue.
    const std::string& reply_queue(std::size_t channel) const { return reply_queues_[channel]; }
    const std::optional<envelope::position>& position(std::size_t channel) const { return positions_[channel]; }
    const settings& config() const noexcept { return settings_; }
    net::shard& home() noexcept { return home_; }
    primus::parser& packets() noexcept { return packets_; }
    envelope::parser& envelopes() noexcept { return envelopes_; }
    hub_counters& counters() noexcept { return counters_; }
    const amqp::client& link() const noexcept { return client_; }
    const std::vector<std::unique_ptr<amqp::publisher>>& publishers() const noexcept { return publishers_; }

    // From the aggregator, through the shard's mailbox.
    void dispatch(const outbound& message);
    void set_reply_queue(std::size_t channel, const std::string& queue) { reply_queues_[channel] = queue; }
    // A volatile channel's answers can't come any more.
    void interrupt(std::size_t channel);

    // Asks every session to go elsewhere; they close in their own time.
    void drain();
    std::size_t sessions() const noexcept { return sessions_.size(); }
    std::size_t unconfirmed() const;
    std::optional<std::size_t> channel_index(std::string_view name) const;

private:
    void deliver(const outbound& message, const outbound_route& route, std::uint64_t round);
    void deliver(const outbound_answer& answer);

    net::shard& home_;
    const settings& settings_;
    amqp::client client_;
    std::vector<std::unique_ptr<amqp::publisher>> publishers_;  // one for each channel: a full queue stops only its own
    std::vector<channel_subscriptions> subscriptions_;
    std::vector<std::string> reply_queues_;
    std::vector<std::optional<envelope::position>> positions_;  // of what was dispatched last
    std::unordered_map<std::uint64_t, session*> sessions_;
    std::unordered_map<std::string, std::vector<session*>, string_hash, std::equal_to<>> by_client_;
    primus::parser packets_;
    envelope::parser envelopes_;
    hub_counters counters_;
    std::uint64_t next_serial_ = 1;
    std::uint64_t round_ = 0;
};

}  // namespace foz::aggregator
