// A port that speaks HTTP and WebSocket, with or without TLS: one server for each shard, all on the same port.
#pragma once

#include "net/listener.hpp"
#include "net/shard.hpp"
#include "ws/conn/connection.hpp"

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/ssl/context.hpp>

namespace foz::ws {

struct server_options {
    net::listen_options listen;
    connection_options connection;
    net::stream_options stream{.read_bytes_max = 32 * 1024};
    // Of this shard, those included that are still in their TLS handshake or writing their last words; further ones are
    // closed at once (descriptors run out).
    std::size_t connections_max = 15'000;
    // Brings a connection to the server of another shard, which takes it with adopt(). Called on the server's shard;
    // empty when the application never answers `elsewhere`.
    std::function<void(unsigned shard, net::detached_stream)> move;
};

struct server_counters {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  // over connections_max
};

// Lives on one shard. Destroyed on it, also from inside a callback, or after its loop has ended: connections that are
// still open are closed at once, without on_closed().
class server final : private connection::owner {
public:
    // `tls` may be null; otherwise it outlives the server. The error is one line.
    static std::expected<std::unique_ptr<server>, std::string> open(net::shard& home, application& app,
                                                                    const server_options& options,
                                                                    boost::asio::ssl::context* tls = nullptr);
    ~server();

    // A connection of another shard's server, with what it had read.
    void adopt(net::detached_stream moved);
    // Takes no further connections; those that are open go on.
    void stop_accepting() { listener_.reset(); }
    std::uint16_t port() const noexcept { return port_; }
    std::size_t connections() const noexcept { return connections_.size(); }
    const server_counters& counters() const noexcept { return counters_; }

private:
    server(net::shard& home, application& app, const server_options& options, boost::asio::ssl::context* tls);

    void on_accepted(net::tcp::socket socket);
    void add(std::shared_ptr<net::stream> stream, std::string received = {});
    void on_gone(connection& gone, std::weak_ptr<net::stream> last_words) override;
    void on_moved(connection& gone, unsigned shard, net::detached_stream stream) override;
    bool full();
    void forget_left();

    net::shard& home_;
    application& app_;
    const server_options options_;
    boost::asio::ssl::context* const tls_;
    std::unique_ptr<net::listener> listener_;
    std::unordered_map<connection*, std::shared_ptr<connection>> connections_;
    std::vector<std::weak_ptr<net::stream>> leaving_;  // some of them may have gone
    std::size_t forget_at_ = 64;
    std::size_t handshakes_ = 0;
    server_counters counters_;
    std::uint16_t port_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace foz::ws
