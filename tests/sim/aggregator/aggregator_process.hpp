// A simulated `foz serve`: the product's sessions and streams; its sockets and connections are models.
#pragma once

#include "aggregator/feeds.hpp"
#include "aggregator/session/hub.hpp"
#include "core/environment.hpp"
#include "core/ws_link.hpp"
#include "oracle/findings.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace foz::sim {

// What a client brings along when it connects.
struct handshake {
    std::string client;
    std::vector<std::size_t> consume_at_open;
    bool hello = false;
};

class oracle;

// What a client hears of its handshake.
class handshake_listener {
public:
    virtual void on_accepted() = 0;
    virtual void on_refused() = 0;

protected:
    ~handshake_listener() = default;
};

struct aggregator_counters {
    std::uint64_t accepted = 0, refused = 0, blocked_writes = 0, drained = 0, paused = 0, pages = 0, gaps = 0;
};

class aggregator_process final : public process, private aggregator::hub_output, private feed_listener {
public:
    aggregator_process(environment& around, oracle& judge, unsigned number);
    ~aggregator_process() override;

    // A connection that a client has begun; the handshake arrives with it.
    void accept(const std::shared_ptr<ws_link>& link, const handshake& asked, handshake_listener& tell);
    void drain();
    // The drain's limit is over.
    void end_drain();
    std::size_t sessions_left() const noexcept { return run_ ? run_->hub.sessions() : 0; }
    bool ready() const noexcept;
    aggregator::hub* sessions() noexcept { return run_ ? &run_->hub : nullptr; }
    const aggregator_counters& counters() const noexcept { return counters_; }
    // Octets that wait for sockets.
    std::size_t queued() const noexcept;
    // How often each state of resuming occurs now.
    void count_resumes(std::vector<std::size_t>& by_state) const;

private:
    class socket;

    // All that ends with the process.
    struct life {
        life(aggregator_process& home);
        ~life();

        aggregator_process& home;
        net::timing_wheel wheel;
        broker_client publishing;
        broker_client consuming;
        broker_client streaming;
        std::vector<std::unique_ptr<publisher>> publishers;  // one for each channel
        publisher markers;
        std::vector<std::unique_ptr<stream_feed>> streams;
        std::vector<std::unique_ptr<volatile_feed>> volatiles;
        dead_feed dead;
        service_watch watch;
        older_entries older;
        std::vector<bool> attached;
        std::vector<std::shared_ptr<socket>> sockets;  // by slot
        std::vector<std::shared_ptr<socket>> dirty;    // have something to write
        aggregator::hub hub;
        bool working = false;
        bool turn_ends = false;  // soon
        bool draining = false;
        bool drain_over = false;
        // Messages that clients have named, and when their outcome was known; nothing while they are on their way.
        std::unordered_map<std::string, std::optional<std::uint64_t>> known;
        std::uint64_t outcomes = 0;
        bool touched = false;  // something was published since the publishers were looked at
    };

    void on_start() override;
    void on_kill() override;
    void tick();
    void end_turn();
    void end_turn_soon();
    void check_not_done_again(const std::string& id);
    void settle_id(const std::string& id, amqp::outcome result);
    void work();
    void check_bounds();
    bool resumes() const;
    void shows_life(const std::vector<std::int64_t>& told);
    feed_tools tools(life& of, broker_client& client, std::size_t channel);

    // hub_output
    void send(aggregator::member to, const frame_ref& frames) override;
    void send_text(aggregator::member to, std::string_view text) override;
    std::size_t queued_bytes(aggregator::member to) const override;
    bool slow(aggregator::member to) override;
    bool stuck(aggregator::member which, std::chrono::milliseconds span) const override;
    bool silent(aggregator::member on, std::chrono::milliseconds span) const override;
    void close(aggregator::member which, ws::close_code code, std::string_view reason) override;
    void send_away(aggregator::member which, ws::close_code code, std::string_view reason) override;
    void abort(aggregator::member which) override;
    void pause_reading(aggregator::member from, bool paused) override;
    void publish(std::size_t channel, const client_id& client, amqp::publication message,
                 aggregator::publish_ticket ticket, steady_time deadline) override;
    bool crowded(std::size_t channel, const client_id& client) const override;
    void read_older(const aggregator::page_request& what) override { run_->older.read(what); }
    void page_taken(const aggregator::reading_id& which, bool more) override { run_->older.taken(which, more); }
    void want_work() override;

    // feed_listener
    void on_entry(const aggregator::entry_ref& what, bool history) override;
    void on_attached(std::size_t channel, const std::string& reply_queue) override;
    void on_detached(std::size_t channel) override;
    void on_gap(std::size_t channel, envelope::gap_cause cause,
                const std::optional<envelope::position>& where) override;
    void on_history_void(std::size_t channel) override;
    void on_service(std::size_t channel, bool there) override;
    void on_page(const aggregator::reading_id& to, aggregator::page what) override;

    socket* socket_of(aggregator::member who) const;

    environment& around_;
    oracle& oracle_;
    findings& found_;
    aggregator::session_settings settings_;
    aggregator_counters counters_;
    std::uint64_t sparks_ = 0;
    std::unique_ptr<life> run_;
};

}  // namespace foz::sim
