// One shard's sessions with their sockets, and their way to the broker.
#pragma once

#include "aggregator/session/hub.hpp"
#include "aggregator/session/hub_output.hpp"
#include "aggregator/settings.hpp"
#include "aggregator/shard/token_gate.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "net/shard.hpp"
#include "ws/conn/connection.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::aggregator {

// What older entries are asked of. Called on any shard.
class older_entries {
public:
    virtual void read_older(const page_request& what) = 0;
    virtual void page_taken(const reading_id& which, bool more) = 0;

protected:
    ~older_entries() = default;
};

// The aggregators that are not this one. Called on any shard.
class other_aggregators {
public:
    virtual void note_presence(std::size_t channel, std::string client, std::string session, bool here) = 0;
    virtual void tell_elsewhere(const client_id& client, const told_answer& what) = 0;
    virtual void tell_cancelled(std::size_t channel, std::string client, std::string message_id) = 0;

protected:
    ~other_aggregators() = default;
};

// Does what the hub wants done. Lives on one shard; outlives its sockets.
class gateway final : private hub_output {
public:
    // `publishing` may be null; it is told of the connection for publishing, on this shard.
    gateway(net::shard& home, const settings& all, older_entries& older, other_aggregators& others,
            const token_gate& tokens, amqp::client_events* publishing = nullptr);
    ~gateway();
    gateway(const gateway&) = delete;
    gateway& operator=(const gateway&) = delete;

    void start();
    boost::asio::awaitable<void> stop();

    // A socket for a client whose identity is known.
    std::unique_ptr<ws::socket_handler> make_socket(session_options options);

    // To those of this shard whom it reaches, before the turn ends: with what else comes for them in this turn.
    void collect(const entry_ref& item);

    // While it is true, nothing more is published. Outlives the gateway.
    void heed(const std::atomic<bool>& short_of_memory) noexcept { short_of_memory_ = &short_of_memory; }
    // Memory is needed at once: closes sockets whose messages have begun and are not there yet, and whose queues are
    // long.
    std::size_t shed();

    hub& sessions() noexcept { return hub_; }
    const hub& sessions() const noexcept { return hub_; }
    net::shard& home() noexcept { return home_; }
    const settings& config() const noexcept { return settings_; }
    const amqp::client& connection() const noexcept { return client_; }
    struct published {
        amqp::publisher_counters counters;
        std::size_t pending = 0;
    };
    published published_on(std::size_t channel) const;
    std::size_t unconfirmed() const;

private:
    class client_socket;
    class turn_end;

    // hub_output
    void send(member to, const frame_ref& frames) override;
    void send_text(member to, std::string_view text) override;
    std::size_t queued_bytes(member to) const override;
    bool slow(member to) override;
    bool stuck(member which, std::chrono::milliseconds span) const override;
    bool silent(member on, std::chrono::milliseconds span) const override;
    bool taking(member which) override;
    void close(member which, ws::close_code code, std::string_view reason) override;
    void send_away(member which, ws::close_code code, std::string_view reason) override;
    void abort(member which) override;
    void pause_reading(member from, bool paused) override;
    void presence(std::size_t channel, std::string_view client, std::string_view session, bool here) override {
        others_.note_presence(channel, std::string(client), std::string(session), here);
    }
    void tell_elsewhere(const client_id& client, const told_answer& what) override {
        others_.tell_elsewhere(client, what);
    }
    void tell_cancelled(std::size_t channel, std::string_view client, std::string message_id) override {
        others_.tell_cancelled(channel, std::string(client), std::move(message_id));
    }
    void publish(std::size_t channel, const client_id& client, amqp::publication message, publish_ticket ticket,
                 steady_time deadline) override;
    bool crowded(std::size_t channel, const client_id& client) const override;
    bool short_of_memory() const override {
        return short_of_memory_ && short_of_memory_->load(std::memory_order_relaxed);
    }
    void read_older(const page_request& what) override { older_.read_older(what); }
    void page_taken(const reading_id& which, bool more) override { older_.page_taken(which, more); }
    std::expected<known_client, client_error> check_token(std::string_view token) override {
        return tokens_.check(token);
    }
    void want_work() override;

    ws::connection* socket_of(member who) const { return who.slot < sockets_.size() ? sockets_[who.slot] : nullptr; }
    void attach(member who, ws::connection* to);
    std::unique_ptr<amqp::publisher> make_publisher();
    amqp::publisher& publisher_for(std::size_t channel, const amqp::publication& message);

    net::shard& home_;
    const settings& settings_;
    older_entries& older_;
    other_aggregators& others_;
    const token_gate& tokens_;
    amqp::octet_pool waiting_;  // of all publishers
    const std::atomic<bool>* short_of_memory_ = nullptr;
    amqp::client client_;
    std::vector<std::unique_ptr<amqp::publisher>> publishers_;  // one for each channel
    std::vector<std::unique_ptr<amqp::publisher>> to_streams_;  // by channel, once there is something to say
    std::vector<ws::connection*> sockets_;                      // by slot; null between two sessions
    hub hub_;
    std::unique_ptr<turn_end> turn_end_;
    bool working_ = false;
};

}  // namespace foz::aggregator
