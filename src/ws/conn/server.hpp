// A port that speaks HTTP and WebSocket, with or without TLS: one server for each shard, all on the same port.
#pragma once

#include "base/notice_limiter.hpp"
#include "base/slot_table.hpp"
#include "net/listener.hpp"
#include "net/shard.hpp"
#include "net/slots.hpp"
#include "ws/conn/connection.hpp"

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/ssl/context.hpp>

namespace foz::ws {

// Why a connection was not taken.
enum class refusal { connections, descriptors };

struct server_options {
    net::listen_options listen;
    connection_options connection;
    net::stream_options stream{.read_bytes_max = 32 * 1024};
    // What all servers together may hold, those included that are still in their TLS handshake or writing their last
    // words. Null: this server alone, connections_max. Further ones are told 503 and closed.
    std::shared_ptr<net::slot_pool> slots;
    std::size_t connections_max = 15'000;
    // A connection with this descriptor or a higher one came when only a reserve was left: it is told the same. 0:
    // none.
    std::uint64_t descriptors_max = 0;
    // So many are told at a time, in so much time; others are closed without a word.
    std::size_t refusals_max = 16;
    std::chrono::milliseconds refusal_timeout = std::chrono::seconds(2);
    // On the server's shard, now and then: so many have been refused since the last time. May be empty.
    std::function<void(refusal why, std::uint64_t count)> on_refused;
    // Brings a connection to the server of another shard, which takes it with adopt(). Called on the server's shard;
    // empty when the application never answers `elsewhere`.
    std::function<void(unsigned shard, net::detached_stream)> move;
};

struct server_counters {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;           // for want of a slot or a descriptor
    std::uint64_t refused_silently = 0;  // of these: without being told
    std::uint64_t handshakes_failed = 0;
    std::uint64_t put_off = 0;   // times that a connection had sent more than one turn takes
    std::uint64_t dribbled = 0;  // ended because a request or a frame came too slowly
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
    void accept_tls(net::tcp::socket socket, net::slot taken);
    void refuse(net::tcp::socket socket, refusal why);
    void tell_busy(std::shared_ptr<net::stream> stream, net::slot taken);
    void add(std::shared_ptr<net::stream> stream, std::string received = {});
    void on_gone(connection& gone) override;
    void on_moved(connection& gone, unsigned shard, net::detached_stream stream) override;
    void on_put_off() noexcept override { ++counters_.put_off; }
    void on_dribbled() noexcept override { ++counters_.dribbled; }

    net::shard& home_;
    application& app_;
    const server_options options_;
    boost::asio::ssl::context* const tls_;
    std::unique_ptr<net::listener> listener_;
    slot_table<std::shared_ptr<connection>> connections_;
    const std::shared_ptr<net::slot_pool> slots_;
    const std::shared_ptr<net::slot_pool> refusals_;
    std::array<notice_limiter, 2> notices_;  // for each refusal
    server_counters counters_;
    std::uint16_t port_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace foz::ws
