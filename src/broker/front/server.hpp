// The broker's door: listens, and keeps the connections.
#pragma once

#include "base/notice_limiter.hpp"
#include "broker/front/connection.hpp"
#include "broker/front/tls_options.hpp"
#include "net/listener.hpp"
#include "net/network_list.hpp"
#include "net/proxy_protocol.hpp"
#include "net/tls_holder.hpp"
#include "net/tls_peer.hpp"

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/steady_timer.hpp>

namespace foz::broker {

struct server_options {
    net::listen_options listen{.address = "127.0.0.1", .port = 5672, .reuse_port = false};
    connection_limits limits;
    std::vector<user_settings> users;
    std::string version;
    std::optional<tls_options> tls{};  // a second listener
    // Every connection from these addresses begins with a PROXY protocol header, before TLS, and then comes from the
    // address that it names. It has to be there within the handshake's time-out.
    net::network_list proxies{};
    // What whoever runs it should know, one line each, at a bounded rate. May be empty.
    std::function<void(const std::string&)> notice{};
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
    // Of the second listener, for who looks after its files; null when there is none.
    const std::shared_ptr<net::tls_holder>& tls() const noexcept { return tls_; }
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
    void on_proxy_head(const net::tcp::endpoint& from) override;
    void on_refused(const net::tcp::endpoint& from, std::string_view user, std::string_view why) override;
    // `arrived` takes it from there, with the address that it comes from.
    using arrival = void (server::*)(net::tcp::socket, const net::tcp::endpoint&);
    void on_accepted(net::tcp::socket socket, arrival arrived);
    void take(net::tcp::socket socket, const net::tcp::endpoint& from);
    void accept_tls(net::tcp::socket socket, const net::tcp::endpoint& from);
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
    std::shared_ptr<net::tls_holder> tls_;
    std::unique_ptr<net::listener> tls_listener_;
    std::size_t handshakes_ = 0;  // TLS and PROXY headers
    notice_limiter bad_heads_;
    notice_limiter stray_heads_;
    notice_limiter refusals_{std::chrono::seconds(1)};
    std::unordered_map<connection*, std::shared_ptr<connection>> connections_;
    bool blocked_ = false;
    bool store_behind_ = false;
    std::string blocked_reason_;
    boost::asio::steady_timer alarm_;
    // An alarm that has rung and was not handled yet may outlive us.
    const std::shared_ptr<server*> self_ = std::make_shared<server*>(this);
};

}  // namespace foz::broker
