// What connections may take that are no clients yet: by address, and without a request.
#include "net/tests/certificate.hpp"
#include "ws/conn/server.hpp"
#include "ws/conn/tests/rig.hpp"

#include <array>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace foz::ws {

using namespace test;

namespace {

// A server, and clients that a proxy on this machine names.
struct port final : application {
    explicit port(server_options options, const std::shared_ptr<const net::tls_holder>& tls = nullptr) {
        options.proxies = net::network_list({"127.0.0.0/8"});
        listening = *server::open(home, *this, options, tls);
    }
    decision on_request(const http_request&, const net::tcp::endpoint& from, bool) override {
        return http_response{.body = from.address().to_string()};
    }

    struct client {
        net::tcp::socket socket;
        std::string heard;
        bool closed = false;
    };
    std::unique_ptr<client> come(const std::string& from, const std::string& octets = "") {
        auto made = std::make_unique<client>(client{.socket = net::tcp::socket(outside), .heard = {}});
        made->socket.connect({boost::asio::ip::make_address("127.0.0.1"), listening->port()});
        boost::asio::write(made->socket, boost::asio::buffer("PROXY TCP4 " + from + " 10.0.0.1 5000 80\r\n" + octets));
        turn();
        return made;
    }
    // Until nothing happens any more, for a while.
    void turn() {
        for (int i = 0; i < 20; ++i) {
            home.context().restart();
            home.turn();
            std::this_thread::sleep_for(1ms);
        }
    }
    std::string hear(client& who) {
        turn();
        std::array<char, 4096> octets;
        ssize_t size;
        while ((size = ::recv(who.socket.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT)) > 0)
            who.heard.append(octets.data(), static_cast<std::size_t>(size));
        who.closed = size == 0 || errno != EAGAIN;
        return who.heard;
    }
    bool closed(client& who) {
        hear(who);
        return who.closed;
    }

    manual_clock time;
    net::shard home{0, time, system_random()};
    boost::asio::io_context outside;
    std::unique_ptr<server> listening;
};

server_options limited(net::address_limits limits) {
    server_options options;
    options.slots = std::make_shared<net::slot_pool>(100);
    options.addresses = std::make_shared<net::address_table>(limits, options.slots);
    return options;
}

}  // namespace

TEST(ws_bounds, too_many_connections_of_an_address_are_told_429) {
    std::vector<std::string> notices;
    server_options options = limited({.connections_max = 1, .arrivals_per_second = 0});
    options.on_refused = [&](const refusal_notice& what) {
        EXPECT_EQ(what.why, refusal::address_connections);
        notices.push_back(what.from.to_string());
    };
    port p(options);
    auto first = p.come("192.0.2.7", get("/"));
    EXPECT_TRUE(p.hear(*first).ends_with("192.0.2.7")) << first->heard;
    auto second = p.come("192.0.2.7", get("/"));
    EXPECT_TRUE(p.hear(*second).starts_with("HTTP/1.1 429 ")) << second->heard;
    EXPECT_NE(second->heard.find("Retry-After: 5\r\n"), std::string::npos);
    EXPECT_EQ(p.listening->counters().address_connections, 1u);
    EXPECT_EQ(notices, std::vector<std::string>{"192.0.2.7"});
    auto other = p.come("192.0.2.8", get("/"));
    EXPECT_TRUE(p.hear(*other).ends_with("192.0.2.8"));
    EXPECT_EQ(options.slots->used(), 2u);
    first->socket.close();
    p.turn();
    EXPECT_EQ(options.slots->used(), 1u);
    auto third = p.come("192.0.2.7", get("/"));
    EXPECT_TRUE(p.hear(*third).ends_with("192.0.2.7"));
}

TEST(ws_bounds, too_fast_connections_of_an_address_are_told_429) {
    port p(limited({.connections_max = 10, .arrivals_per_second = 2}));
    std::vector<std::unique_ptr<port::client>> all;
    for (int i = 0; i < 3; ++i) all.push_back(p.come("192.0.2.7", get("/")));
    EXPECT_TRUE(p.hear(*all[1]).starts_with("HTTP/1.1 200 "));
    EXPECT_TRUE(p.hear(*all[2]).starts_with("HTTP/1.1 429 "));
    EXPECT_EQ(p.listening->counters().address_arrivals, 1u);
    p.time.time += 1s;
    all.push_back(p.come("192.0.2.7", get("/")));
    EXPECT_TRUE(p.hear(*all[3]).starts_with("HTTP/1.1 200 "));
}

TEST(ws_bounds, what_comes_from_a_forwarder_is_not_counted) {
    server_options options = limited({.connections_max = 1, .arrivals_per_second = 1});
    options.forwarders = net::network_list({"192.0.2.0/24"});
    port p(options);
    std::vector<std::unique_ptr<port::client>> all;
    for (int i = 0; i < 3; ++i) all.push_back(p.come("192.0.2.7", get("/")));
    for (const auto& one : all) EXPECT_TRUE(p.hear(*one).starts_with("HTTP/1.1 200 "));
}

TEST(ws_bounds, the_oldest_connection_without_a_request_gives_way) {
    server_options options;
    options.half_open_max = 2;
    port p(options);
    auto client = p.come("192.0.2.1", get("/"));
    auto first = p.come("192.0.2.2");
    auto second = p.come("192.0.2.3", "GET / HT");
    auto third = p.come("192.0.2.4");
    EXPECT_FALSE(p.closed(*first));  // it has only just come
    EXPECT_EQ(p.listening->half_open(), 3u);
    p.time.time += 1s;
    auto fourth = p.come("192.0.2.5");
    EXPECT_TRUE(p.closed(*first));
    EXPECT_TRUE(p.closed(*second));
    EXPECT_FALSE(p.closed(*third));
    EXPECT_FALSE(p.closed(*fourth));
    EXPECT_FALSE(p.closed(*client));
    EXPECT_EQ(p.listening->half_open(), 2u);
    EXPECT_EQ(p.listening->counters().half_open_closed, 2u);
    // Whoever makes a request, or goes, is none any more.
    boost::asio::write(third->socket, boost::asio::buffer(get("/")));
    fourth->socket.close();
    EXPECT_TRUE(p.hear(*third).starts_with("HTTP/1.1 200 "));
    EXPECT_EQ(p.listening->half_open(), 0u);
}

TEST(ws_bounds, the_oldest_handshake_gives_way) {
    const net::certificate files;
    auto context = net::make_tls_context(net::tls_server_options{files.cert_file, files.key_file});
    ASSERT_TRUE(context) << context.error();
    server_options options;
    options.handshakes_max = 2;
    port p(options, std::make_shared<net::tls_holder>(std::move(*context)));
    auto first = p.come("192.0.2.1");
    auto second = p.come("192.0.2.2");
    auto third = p.come("192.0.2.3");
    EXPECT_TRUE(p.closed(*third));  // the others have only just come
    EXPECT_FALSE(p.closed(*first));
    EXPECT_EQ(p.listening->counters().handshakes_refused, 1u);
    p.time.time += 2s;
    auto fourth = p.come("192.0.2.4");
    EXPECT_TRUE(p.closed(*first));
    EXPECT_FALSE(p.closed(*second));
    EXPECT_FALSE(p.closed(*fourth));
    EXPECT_EQ(p.listening->counters().handshakes_given_up, 1u);
    EXPECT_EQ(p.listening->counters().handshakes_refused, 1u);
}

}  // namespace foz::ws
