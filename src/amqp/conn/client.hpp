// A connection to an AMQP broker that is kept open: a list of URLs, jittered reconnection, channels that recover.
#pragma once

#include "amqp/codec/url.hpp"
#include "amqp/conn/connection.hpp"
#include "amqp/conn/error.hpp"
#include "amqp/conn/quarantine.hpp"
#include "amqp/conn/reconnect_pace.hpp"
#include "net/connect.hpp"
#include "net/shard.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::amqp {

class channel;
class channel_handler;

// For an amqps URL: `usual`, and what its parameters say instead.
net::tls_client_options tls_of(const url& to, net::tls_client_options usual);

struct client_options {
    std::vector<url> urls;        // not empty; tried in turn, beginning at a random one
    std::string connection_name;  // what the broker's tools show
    net::tls_client_options tls;  // for amqps:// URLs
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);  // TCP, TLS and AMQP handshake, each
    // A node that is silent as a whole, idle or not, is left after so long (README.md); 0: as the system likes.
    std::chrono::milliseconds unacknowledged_max = std::chrono::seconds(4);
    std::chrono::milliseconds heartbeat = std::chrono::seconds(10);  // proposed; the broker may lower it; 0: none
    // A larger body is skipped (channel_handler::on_too_large()); no more than this of one is held for each channel.
    std::size_t content_bytes_max = 16 * 1024 * 1024;
    // A connection, or a channel, that was lost earlier than this was never good: the pauses before the next one go on
    // growing.
    std::chrono::milliseconds good_after = std::chrono::seconds(5);
    // Between them lies the longest pause before the next attempt, see reconnect_pace; each is a random part of it.
    std::chrono::milliseconds reconnect_min = std::chrono::milliseconds(50);
    std::chrono::milliseconds reconnect_max = std::chrono::seconds(5);
};

struct client_counters {
    std::uint64_t connects = 0;  // connections that were opened
    std::uint64_t connect_failures = 0;
    std::uint64_t disconnects = 0;       // connections that were open and were lost
    std::uint64_t blocked = 0;           // times that the broker blocked us
    std::uint64_t moved_on = 0;          // connections that were given up for the next URL
    std::uint64_t sick = 0;              // connections that the broker closed because of one channel
    std::uint64_t channel_failures = 0;  // channels that the broker closed, or that could not be set up
};

// Told about the connection as a whole. Called on the client's shard; may not destroy the client.
class client_events {
public:
    virtual void on_connected(const std::string& where) { (void)where; }
    // A failed attempt or a lost connection; the next attempt follows after retry_in.
    virtual void on_disconnected(const error& why, std::chrono::milliseconds retry_in) { (void)why, (void)retry_in; }
    // The broker closes the connection whenever this queue is declared or consumed, or a channel that uses it again and
    // again. It is tried again after retry_in, told each time, and the others go on; and it works again. Empty: a
    // channel that uses no queue, but publishes.
    virtual void on_channel_sick(const std::string& queue, const error& why, std::chrono::milliseconds retry_in) {
        (void)queue, (void)why, (void)retry_in;
    }
    virtual void on_channel_recovered(const std::string& queue) { (void)queue; }
    // RabbitMQ's connection.blocked: the broker takes no publishes (memory or disk alarm).
    virtual void on_blocked(bool blocked, const std::string& reason) { (void)blocked, (void)reason; }

protected:
    ~client_events() = default;
};

// Lives on one shard. Destroyed only after stop() has finished, or after the shard's loop has ended.
class client final : private connection_handler {
public:
    // `events` may be null; otherwise it outlives the client.
    client(net::shard& home, client_options options, client_events* events = nullptr);
    ~client();
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    void start();

    // A channel that is open whenever the connection is. The handler outlives the client's stop() or calls
    // channel::close() first. Its set_up() runs at every opening.
    std::shared_ptr<channel> open_channel(channel_handler& handler);

    // Gives the connection up and connects to the next URL at once. False when there is none, or when something was
    // confirmed through it since: then it is not what is sick.
    bool next_url(const error& why, steady_time unless_confirmed_since);

    // Closes the connection in an orderly way (connection.close, at most two seconds) and ends all retries.
    asio::awaitable<void> stop();

    bool connected() const noexcept { return connected_; }
    bool blocked() const noexcept { return blocked_; }
    // What the broker said of itself; empty while there is no connection.
    table server_properties() const { return connected_ ? connection_->server_properties() : table(); }
    const client_counters& counters() const noexcept { return counters_; }
    net::shard& home() noexcept { return home_; }

private:
    friend class channel;

    void connect();
    asio::awaitable<void> connect_once();
    void retry(const error& why, link_end what);
    connection_options handshake_options(const url& to) const;

    void on_open(connection&) override;
    void on_closed(connection&, const error& why) override;
    void on_blocked(connection&, bool blocked, const std::string& reason) override;

    // From channels.
    void suspect(const channel& who, std::string queue);
    void on_set_up(const channel& who);
    void on_lost(const channel& who);
    void on_gone(const channel& who);
    void on_opening_failed(const channel& who, bool sick, std::chrono::milliseconds retry_in);
    void acquit(const channel& who);
    void recover(std::uint64_t serial);

    std::shared_ptr<channel> find(std::uint64_t serial) const;
    bool others_are_opening() const;
    void try_suspects();

    connection* current() noexcept { return connected_ ? connection_.get() : nullptr; }

    net::shard& home_;
    const client_options options_;
    client_events* const events_;
    std::shared_ptr<connection> connection_;
    std::vector<std::weak_ptr<channel>> channels_;
    std::uint64_t next_serial_ = 1;  // of a channel
    quarantine quarantine_;
    std::map<std::uint64_t, std::string> sick_;  // what on_channel_sick() was told, by channel
    client_counters counters_;
    std::string where_;  // the URL of the last attempt, without its password
    std::size_t next_url_ = 0;
    reconnect_pace pace_;
    std::size_t attempts_ = 0;    // in a row, none of which has led to a connection
    steady_time last_confirm_{};  // on any channel
    steady_time opened_at_{};
    bool connected_ = false;
    bool blocked_ = false;
    bool stopping_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    net::wheel_timer retry_timer_{this, [](client& self) { self.connect(); }};
    net::wheel_timer trial_timer_{this, [](client& self) { self.try_suspects(); }};
};

}  // namespace foz::amqp
