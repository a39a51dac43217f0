// The aggregator as a whole: what `foz serve` runs.
#pragma once

#include "aggregator/feed/catch_up.hpp"
#include "aggregator/feed/control.hpp"
#include "aggregator/feed/dead_notices.hpp"
#include "aggregator/feed/drop_reason.hpp"
#include "aggregator/feed/feed_sink.hpp"
#include "aggregator/feed/peers.hpp"
#include "aggregator/feed/readers.hpp"
#include "aggregator/feed/revoked_reader.hpp"
#include "aggregator/feed/service_watch.hpp"
#include "aggregator/settings.hpp"
#include "aggregator/shard/connect_service.hpp"
#include "aggregator/shard/dispatcher.hpp"
#include "aggregator/shard/front.hpp"
#include "aggregator/shard/gateway.hpp"
#include "aggregator/shard/link_list.hpp"
#include "aggregator/shard/memory_guard.hpp"
#include "aggregator/shard/sick_list.hpp"
#include "aggregator/shard/token_gate.hpp"
#include "net/runtime.hpp"
#include "ws/conn/server.hpp"
#include "ws/conn/web_folder.hpp"

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::aggregator {

struct snapshot;
struct sick_snapshot;

// What the outside is told. Called on shard 0.
class aggregator_events {
public:
    // Every channel that the broker gives can be heard for the first time; clients are let in.
    virtual void on_ready() = 0;
    // It can't start: a queue that exists with other arguments, a refused password. One line for people.
    virtual void on_start_failed(const std::string& why) = 0;
    // Something that an operator should know: a broker that went or came, that it is not ready, dropped messages.
    virtual void on_notice(const std::string& text) = 0;

protected:
    ~aggregator_events() = default;
};

struct aggregator_counters {
    std::uint64_t outbound = 0;                            // messages read for clients
    std::array<std::uint64_t, drop_reasons> dropped = {};  // of these, by drop_reason
    std::uint64_t gaps = 0;
    std::uint64_t queues_lost = 0;      // of volatile channels, with what was in them
    std::uint64_t histories_void = 0;   // at the start: what was read did not lead to what came
    std::uint64_t short_of_memory = 0;  // times that nearly all of settings::memory_bytes_max was in use
    std::uint64_t revocations = 0;
    std::uint64_t revocations_not_trusted = 0;  // from users of the broker that may not revoke
};

// Made and destroyed while no shard runs; the runtime outlives it. Its readers live on shard 0, a gateway, a front and
// a server on each shard.
class aggregator final : private feed_sink,
                         private older_entries,
                         private other_aggregators,
                         private peers_listener,
                         private revocation_listener,
                         private amqp::client_events {
public:
    // Listens at once. Throws std::runtime_error with one line when the port is taken or a file can't be read.
    aggregator(net::runtime& cores, settings all, aggregator_events& events);
    ~aggregator();

    // Before the runtime runs.
    void start();
    // On shard 0, once: is not ready any more, but takes clients for the grace; closes the port, sends the clients
    // away, each when it has been told what is owed to it, and those that are left at the limit of the settings; waits
    // for what is in flight, closes the connections to the broker, then stops the runtime.
    enum class grace : bool { none, as_set };
    void drain(grace first);

    std::uint16_t port() const noexcept { return port_; }
    // Of the port, for who looks after its files; null when it is plain.
    const std::shared_ptr<net::tls_holder>& tls() const noexcept { return tls_; }
    const aggregator_counters& counters() const noexcept { return counters_; }
    // On shard 0: whom it meets is not let in any more, here and on every other aggregator, until the time is over.
    // `done`, on shard 0: the broker has it, or not; `invalid` where clients have no names.
    void revoke(const contract::revocation& what, amqp::on_outcome done);
    // On shard 0, while the runtime runs. `done` is called there, soon and not inside.
    void collect(std::function<void(snapshot)> done);
    // The same: closes sockets of this process, on whatever shard they are; `done` is told how many.
    void disconnect(disconnect_order what, std::function<void(std::size_t)> done);

private:
    struct core;
    class link_watch;

    // feed_sink
    void on_entry(std::size_t channel, const entry_ref& what, bool history, delivery_ticket ticket) override;
    void on_attached(std::size_t channel, const std::string& reply_queue) override;
    void on_detached(std::size_t channel, const amqp::error& why) override;
    void on_gap(std::size_t channel, envelope::gap_cause cause,
                const std::optional<envelope::position>& where) override;
    void on_history_void(std::size_t channel) override;
    void on_dropped(std::size_t channel, drop_reason why, std::string_view message_id) override;
    void on_page(const reading_id& to, page what) override;

    // older_entries
    void read_older(const page_request& what) override;
    void page_taken(const reading_id& which, bool more) override;

    // other_aggregators
    void note_presence(std::size_t channel, std::string client, std::string session, bool here) override;
    void tell_elsewhere(const client_id& client, const told_answer& what) override;
    void tell_cancelled(std::size_t channel, std::string client, std::string message_id) override;

    // peers_listener
    void on_told(told_message what) override;
    void on_given_up() override;

    // revocation_listener
    void on_revocation(const contract::revocation& what) override;
    void on_revocation_not_trusted(const std::string& user) override;
    void on_revocations_known() override;
    void on_revocations_lost(const amqp::error& why) override;

    // amqp::client_events
    void on_connected(const std::string& where) override;
    void on_disconnected(const amqp::error& why, std::chrono::milliseconds retry_in) override;
    void on_blocked(bool blocked, const std::string& reason) override;
    void on_channel_sick(const std::string& queue, const amqp::error& why, std::chrono::milliseconds) override;
    void on_channel_recovered(const std::string& queue) override;

    void note_sick(const std::string& link, const std::string& queue, const std::string& reason);
    void note_recovered(const std::string& link, const std::string& queue);
    amqp::client_events* watch_link(std::string name);
    // "channel chat (OUT_CHAT)"
    std::string title_of(const sick_part& one) const;
    // Whose messages come from this queue.
    std::optional<std::size_t> channel_heard_from(std::string_view queue) const;
    std::vector<bool> sick_channels() const;
    bool hears_nothing() const;
    void note_link(const std::string& link, const std::optional<std::string>& lost);
    readiness judge() const;
    void judge_readiness();
    void look_at_memory();
    ws::server_options server_options();
    void open_ports();
    void look_for_crowd();
    void make_feed();
    void make_door();
    void tell_keys();
    void for_each_core(const std::function<void(gateway&, const ws::server&)>& work);
    std::string why_not_ready() const;
    std::vector<sick_snapshot> sick_now() const;
    boost::asio::awaitable<void> drain_and_stop(std::chrono::milliseconds wait);
    boost::asio::awaitable<std::size_t> until_idle(steady_time deadline);
    boost::asio::awaitable<void> stop_all();

    net::runtime& cores_;
    const settings settings_;
    const token_gate tokens_;
    std::vector<std::string> key_failures_;  // by issuer: what was told last
    aggregator_events& events_;
    std::shared_ptr<net::tls_holder> tls_;  // null: plain
    std::optional<ws::web_folder> files_;
    front_state front_state_;
    sick_list sick_;
    link_list lost_links_;
    std::vector<std::unique_ptr<link_watch>> watches_;
    amqp::client consume_;
    amqp::client streams_;
    amqp::client own_publish_;             // for what the aggregator itself says: markers, errors of dead letters
    std::deque<amqp::publisher> markers_;  // one for each stream
    std::vector<std::unique_ptr<core>> cores_state_;  // one for each shard
    std::unique_ptr<dispatcher> dispatcher_;
    std::vector<std::unique_ptr<reader>> readers_;  // by channel
    std::vector<std::unique_ptr<catch_up>> older_;  // by channel; null for volatile ones
    std::unique_ptr<service_watch> watch_;
    std::unique_ptr<dead_notices> notices_;
    std::unique_ptr<peers> peers_;
    std::unique_ptr<control> control_;
    std::unique_ptr<connect_service> door_;    // null: none is asked
    std::unique_ptr<revoked_reader> revoked_;  // null: clients have no names here
    bool revocations_known_ = false;
    std::vector<bool> attached_;  // by channel: it could be heard at least once
    std::vector<bool> heard_;     // and can be heard now
    aggregator_counters counters_;
    std::string last_problem_;
    bool started_ = false;  // it has been ready once
    std::shared_ptr<net::address_table> addresses_;
    net::wheel_timer crowd_timer_{this, [](aggregator& self) { self.look_for_crowd(); }};
    net::wheel_timer readiness_timer_{this, [](aggregator& self) { self.judge_readiness(); }};
    memory_guard guard_{settings_.memory_bytes_max};
    steady_time memory_trimmed_at_{};
    net::wheel_timer memory_timer_{this, [](aggregator& self) { self.look_at_memory(); }};
    std::uint16_t port_ = 0;
};

}  // namespace foz::aggregator
