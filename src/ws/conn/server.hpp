// A port that speaks HTTP and WebSocket, with or without TLS: one server for each shard, all on the same port.
#pragma once

#include "base/notice_limiter.hpp"
#include "base/slot_table.hpp"
#include "net/address_table.hpp"
#include "net/awaited_socket.hpp"
#include "net/listener.hpp"
#include "net/network_list.hpp"
#include "net/proxy_protocol.hpp"
#include "net/shard.hpp"
#include "net/slots.hpp"
#include "net/tls_holder.hpp"
#include "ws/conn/connection.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace foz::ws {

// Why a connection was not taken; `unread`: it was, and an answer was not given. `proxy_head`: it came from a proxy of
// server_options::proxies and began with no good PROXY header; `stray_proxy_head`: it began with one, and came from
// somebody else. `address_…`: there are too many from its address, or they come too fast.
enum class refusal {
    connections,
    descriptors,
    handshakes,
    unread,
    proxy_head,
    stray_proxy_head,
    address_connections,
    address_arrivals
};
inline constexpr std::size_t refusals = 8;

// For who is told of refusals.
struct refusal_notice {
    refusal why;
    std::uint64_t count;            // since the last notice of this kind
    boost::asio::ip::address from;  // the last one; unspecified when it wasn't asked for
};

struct server_options {
    net::listen_options listen;
    connection_options connection;
    net::stream_options stream{.read_bytes_max = 32 * 1024};
    // What all servers together may hold, those included that are still in their TLS handshake or writing their last
    // words. Null: this server alone, connections_max. Further ones are told 503 and closed.
    std::shared_ptr<net::slot_pool> slots;
    std::size_t connections_max = 15'000;
    // TLS handshakes that all servers together have under way. Null: this server alone, handshakes_max. A connection
    // that comes beyond takes the place of this server's oldest one, if that has been under way for two seconds;
    // otherwise it is closed without a word, since to say one would take a handshake.
    std::shared_ptr<net::slot_pool> handshakes;
    std::size_t handshakes_max = 4'096;
    // Every connection from these addresses begins with a PROXY protocol header (net::parse_proxy_head), before TLS,
    // and then comes from the address that it names. It has to be there within head_timeout.
    net::network_list proxies{};
    // Counts connections by address, for all servers; null: none are counted. Further ones of an address are told 429
    // and closed, under TLS without a word.
    std::shared_ptr<net::address_table> addresses;
    // Connections from these addresses are those of many clients, and not counted.
    net::network_list forwarders{};
    // Connections of this server without a whole request. A further one takes the place of the oldest one, unless that
    // has come within the last second.
    std::size_t half_open_max = 4'096;
    // Octets of HTTP answers that wait for the clients of this server, all together. A further answer is a 503, after
    // which its connection closes.
    std::size_t unread_bytes_max = 128 * 1024 * 1024;
    // A connection with this descriptor or a higher one came when only a reserve was left: it is told the same. 0:
    // none.
    std::uint64_t descriptors_max = 0;
    // So many are told at a time, in so much time; others are closed without a word.
    std::size_t refusals_max = 16;
    std::chrono::milliseconds refusal_timeout = std::chrono::seconds(2);
    // On the server's shard, now and then. May be empty.
    std::function<void(const refusal_notice& what)> on_refused;
    // Brings a connection to the server of another shard, which takes it with adopt(). Called on the server's shard;
    // empty when the application never answers `elsewhere`.
    std::function<void(unsigned shard, moved_connection)> move;
};

struct server_counters {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;             // for want of a slot or a descriptor
    std::uint64_t refused_silently = 0;    // of these: without being told
    std::uint64_t handshakes_refused = 0;  // of these: too many were under way
    std::uint64_t handshakes_failed = 0;
    std::uint64_t handshakes_given_up = 0;  // of these: for newer ones
    std::uint64_t answers_refused = 0;      // too much waited to be read
    std::uint64_t proxy_heads_failed = 0;   // connections of proxies without a good PROXY header
    std::uint64_t proxy_heads_stray = 0;    // connections with one that came from somebody else
    std::uint64_t address_connections = 0;  // refused: too many from one address
    std::uint64_t address_arrivals = 0;     // refused: too fast from one address
    std::uint64_t half_open_closed = 0;     // for newer ones
    std::uint64_t put_off = 0;              // times that a connection had sent more than one turn takes
    std::uint64_t dribbled = 0;             // ended because a request or a frame came too slowly
};

// Lives on one shard. Destroyed on it, also from inside a callback, or after its loop has ended: connections that are
// still open are closed at once, without on_closed().
class server final : private connection::owner {
public:
    // `tls`: null for plain HTTP. The error is one line.
    static std::expected<std::unique_ptr<server>, std::string> open(
        net::shard& home, application& app, const server_options& options,
        std::shared_ptr<const net::tls_holder> tls = nullptr);
    ~server();

    // A connection of another shard's server, with what it had read.
    void adopt(moved_connection moved);
    // Takes no further connections; those that are open go on.
    void stop_accepting() { listener_.reset(); }
    std::uint16_t port() const noexcept { return port_; }
    std::size_t connections() const noexcept { return connections_.size(); }
    std::size_t half_open() const noexcept { return half_open_; }
    const server_counters& counters() const noexcept { return counters_; }

private:
    server(net::shard& home, application& app, const server_options& options,
           std::shared_ptr<const net::tls_holder> tls);

    void on_accepted(net::tcp::socket socket);
    void take(net::tcp::socket socket, const net::tcp::endpoint& from, net::slot taken);
    void accept_tls(net::tcp::socket socket, const net::tcp::endpoint& from, net::slot taken);
    void bound_half_open();
    net::slot take_handshake();
    void note_stray_head(const net::tcp::endpoint& from);
    void refuse(net::tcp::socket socket, refusal why, const boost::asio::ip::address& from = {});
    void note(refusal why, const boost::asio::ip::address& from = {});
    void tell_busy(std::shared_ptr<net::stream> stream, net::slot taken, unsigned status);
    void add(std::shared_ptr<net::stream> stream, std::string received = {},
             std::shared_ptr<const request_note> note = nullptr);
    void on_gone(connection& gone) override;
    void on_first_request(connection&) noexcept override { --half_open_; }
    void on_moved(connection& gone, unsigned shard, moved_connection what) override;
    bool may_answer(connection& asking, std::size_t octets) override;
    void charge(std::uint32_t number, std::size_t octets);
    void count_unread();
    void on_put_off() noexcept override { ++counters_.put_off; }
    void on_dribbled() noexcept override { ++counters_.dribbled; }
    void on_proxy_head(connection& sender) override { note_stray_head(sender.remote()); }

    net::shard& home_;
    application& app_;
    const server_options options_;
    const std::shared_ptr<const net::tls_holder> tls_;
    std::unique_ptr<net::listener> listener_;
    slot_table<std::shared_ptr<connection>> connections_;
    const std::shared_ptr<net::slot_pool> slots_;
    const std::shared_ptr<net::slot_pool> refusals_;
    const std::shared_ptr<net::slot_pool> handshakes_;
    // Those without a request, oldest first; also some that have had one meanwhile, or are gone.
    struct arrival {
        std::uint32_t number;
        const connection* which;
        steady_time at;
    };
    std::deque<arrival> arrivals_;
    std::size_t half_open_ = 0;
    // TLS handshakes, oldest first; also some that are over.
    struct begun_handshake {
        std::weak_ptr<net::awaited_socket> which;
        steady_time at;
    };
    std::deque<begun_handshake> begun_;
    std::array<notice_limiter, refusals> notices_;  // for each refusal
    // What waited for each connection, by number, when it was last looked at, and all together: never less than it is
    // now, since nothing but an answer adds to it.
    std::vector<std::size_t> charged_;
    std::size_t charged_in_all_ = 0;
    steady_time counted_at_{};
    server_counters counters_;
    std::uint16_t port_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace foz::ws
