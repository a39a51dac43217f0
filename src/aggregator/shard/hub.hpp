// The sockets of one shard: who they are, what they hear, and the way to the broker.
#pragma once

#include "aggregator/channel/audience.hpp"
#include "aggregator/channel/recent.hpp"
#include "aggregator/feed/catch_up.hpp"
#include "aggregator/feed/decode.hpp"
#include "aggregator/session/client_error.hpp"
#include "aggregator/session/questions.hpp"
#include "aggregator/session/requests.hpp"
#include "aggregator/settings.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "envelope/envelope.hpp"
#include "primus/packet.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
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
    std::uint64_t resends = 0;  // messages whose id was known
    std::uint64_t resumes = 0;
    std::uint64_t gaps = 0;  // told to sessions
    std::uint64_t slow_closed = 0;
    std::uint64_t silent_closed = 0;  // no sign of life for a whole ping interval
};

// Lives on one shard; outlives its sessions.
class hub {
public:
    // What older entries are asked of; called on this shard.
    using catch_up_port = std::function<void(const catch_up_job&)>;

    hub(net::shard& home, const settings& all, catch_up_port older);
    ~hub();
    hub(const hub&) = delete;
    hub& operator=(const hub&) = delete;

    void start();
    boost::asio::awaitable<void> stop();

    // From sessions.
    std::uint64_t add(session& who);
    void remove(session& who);
    session* find(std::uint64_t serial) const;
    member member_of(std::uint64_t serial) const { return sessions_.at(serial).second; }
    void publish(std::size_t channel, amqp::publication message, amqp::publisher::on_outcome done);
    audience& heard_on(std::size_t channel) { return channels_[channel].heard; }
    const recent_messages& recent(std::size_t channel) const { return channels_[channel].recent; }
    const std::optional<envelope::position>& position(std::size_t channel) const { return channels_[channel].where; }
    // Where a service's answers go; empty while a volatile channel has no queue.
    const std::string& reply_queue(std::size_t channel) const { return channels_[channel].reply_queue; }
    // Nothing consumes the channel's queue: now, or for as long as the channel's settings allow.
    bool no_service(std::size_t channel, bool fail_fast) const;
    // From now on the session is told its position now and then.
    void track(std::size_t channel, session& who) { channels_[channel].trackers.insert(&who); }
    void untrack(std::size_t channel, session& who) { channels_[channel].trackers.erase(&who); }
    void catch_up(const catch_up_job& job) { older_(job); }
    requests& asked() noexcept { return requests_; }
    questions& asked_of_clients() noexcept { return questions_; }
    const settings& config() const noexcept { return settings_; }
    net::shard& home() noexcept { return home_; }
    primus::parser& packets() noexcept { return packets_; }
    envelope::parser& envelopes() noexcept { return envelopes_; }
    hub_counters& counters() noexcept { return counters_; }
    const amqp::client& link() const noexcept { return client_; }
    const amqp::publisher& publisher(std::size_t channel) const { return *channels_[channel].publisher; }

    // From the aggregator, through the shard's mailbox.
    void dispatch(const entry_ref& message);
    // To every socket of the client: what was to be told to one that has gone.
    void reply(const client_id& client, const reply_context& context, std::string_view json);
    void replay(catch_up_page page);
    void set_reply_queue(std::size_t channel, const std::string& queue) { channels_[channel].reply_queue = queue; }
    void set_service(std::size_t channel, bool there);
    // The channel's stream has lost entries or was made anew: whoever hears it is told.
    void gap(std::size_t channel, envelope::gap_cause cause);
    // A volatile channel's answers can't come any more.
    void interrupt(std::size_t channel);

    // Asks every session to go elsewhere; they close in their own time.
    void drain();
    std::size_t sessions() const noexcept { return sessions_.size(); }
    std::size_t unconfirmed() const;
    std::optional<std::size_t> channel_index(std::string_view name) const;

private:
    // One message of a client that waits until the one before it has been confirmed (order = client).
    struct ordered_publish {
        amqp::publication message;
        amqp::publisher::on_outcome done;
    };
    struct channel_state {
        channel_state(const settings& all, const directory& names) : heard(names), recent(all.recent_bytes_max) {}
        std::unique_ptr<amqp::publisher> publisher;  // of its own: a full queue stops only its own channel
        audience heard;
        recent_messages recent;                   // durable channels
        std::optional<envelope::position> where;  // of what was dispatched last
        std::optional<envelope::position> told;   // to the trackers
        std::size_t entries_since_told = 0;
        std::unordered_set<session*> trackers;
        std::string reply_queue;
        std::optional<steady_time> no_service_since;
        std::unordered_map<std::string, std::deque<ordered_publish>> ordered;  // by client
    };

    void deliver_answer(const entry& entry);
    std::vector<session*> sockets_of(const client_id& client) const;
    member take_slot(session& who);
    void publish_next(std::size_t channel, const std::string& client);
    void tell_positions(std::size_t channel);
    void on_position_interval();

    net::shard& home_;
    const settings& settings_;
    const catch_up_port older_;
    amqp::client client_;
    directory names_;
    std::deque<channel_state> channels_;  // as in the settings
    std::unordered_map<std::uint64_t, std::pair<session*, member>> sessions_;
    std::vector<std::pair<session*, std::uint32_t>> slots_;  // with their generations; null: free
    std::vector<std::uint32_t> free_slots_;
    requests requests_;
    questions questions_;
    primus::parser packets_;
    envelope::parser envelopes_;
    hub_counters counters_;
    std::uint64_t next_serial_ = 1;
    net::wheel_timer position_timer_{this, [](hub& self) { self.on_position_interval(); }};
};

}  // namespace foz::aggregator
