// The broker's door: listens, and keeps the connections.
#pragma once

#include "broker/front/connection.hpp"
#include "broker/front/tls_options.hpp"
#include "net/listener.hpp"
#include "net/tls.hpp"

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::broker {

struct server_options {
    net::listen_options listen{.address = "127.0.0.1", .port = 5672, .reuse_port = false};
    connection_limits limits;
    std::vector<user_settings> users;
    std::string version;
    std::optional<tls_options> tls{};  // a second listener
};

// Lives on the broker's shard. The node outlives it.
class server final : private connection_owner {
public:
    // Throws std::runtime_error on a user's rule that is none.
    server(net::shard& home, node& model, server_options options);
    ~server();

    // Binds and listens; the error is one line.
    std::expected<void, std::string> listen();
    std::uint16_t port() const noexcept { return listener_->port(); }
    std::uint16_t tls_port() const noexcept { return tls_listener_ ? tls_listener_->port() : 0; }
    std::size_t connections() const noexcept { return connections_.size(); }

    void tell(std::vector<connection_info>& connections, std::vector<consumer_info>& consumers) const;
    // Why publishers wait; empty: they don't.
    const std::string& blocked() const noexcept { return blocked_reason_; }

    // The storage has committed: publishers are told.
    void on_committed();
    // Publishers have to wait, or not any more.
    void block(bool blocked, const std::string& reason);
    // Publishers are not read from for a moment, without being told.
    void hold(bool store_behind);
    // Stops accepting and tells everyone. Connections end by themselves within two seconds.
    void shut_down();

private:
    void on_gone(connection& gone) override;
    void accept_tls(net::tcp::socket socket);
    void add(std::shared_ptr<net::stream> stream, std::optional<std::string> certified);
    net::stream_options stream_limits() const noexcept;
    // Until the node's next alarm.
    void wait();

    net::shard& home_;
    node& model_;
    const server_options options_;
    const users known_;
    front_context shared_;
    std::unique_ptr<net::listener> listener_;
    std::optional<boost::asio::ssl::context> tls_;
    std::unique_ptr<net::listener> tls_listener_;
    std::size_t handshakes_ = 0;
    std::unordered_map<connection*, std::shared_ptr<connection>> connections_;
    bool blocked_ = false;
    bool store_behind_ = false;
    std::string blocked_reason_;
    boost::asio::steady_timer alarm_;
    // An alarm that has rung and was not handled yet may outlive us.
    const std::shared_ptr<server*> self_ = std::make_shared<server*>(this);
};

}  // namespace foz::broker
