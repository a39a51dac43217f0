// A server on loopback and a client that writes raw octets.
#include "ws/conn/connection.hpp"

#include "net/connect.hpp"
#include "net/runtime.hpp"
#include "net/tests/certificate.hpp"
#include "net/tls.hpp"
#include "ws/conn/server.hpp"
#include "ws/conn/tests/loopback.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace loopback;

struct fixture {
    explicit fixture(connection_options options = {}) {
        limit.start(home.wheel(), 10s);
        server_options all;
        all.connection = options;
        auto opened = server::open(home, app, all);
        if (!opened) throw std::runtime_error(opened.error());
        listening = std::move(*opened);
    }
    ~fixture() { listening.reset(); }

    // Connects, writes the octets in the given pieces, one turn for each, and runs until someone stops the core.
    void talk(std::vector<std::string> pieces) {
        boost::asio::co_spawn(home.context(), connect_and_write(std::move(pieces), client), boost::asio::detached);
        cores.run();
        EXPECT_FALSE(timed_out);
    }
    boost::asio::awaitable<void> connect_and_write(std::vector<std::string> pieces, raw_client& who) {
        net::connect_options to{.host = "127.0.0.1", .port = listening->port()};
        auto connected = co_await net::connect(home, to);
        who.stream = *connected;
        who.stream->start(who);
        for (const std::string& piece : pieces) {
            who.stream->write(piece);
            boost::asio::steady_timer pause(home.context(), 1ms);
            co_await pause.async_wait(boost::asio::use_awaitable);
        }
    }
    std::function<void()> stop() {
        return [this] { cores.stop(); };
    }

    net::runtime cores{1};
    net::shard& home = cores.at(0);
    echo_application app;
    std::unique_ptr<server> listening;
    raw_client client;
    bool timed_out = false;
    net::wheel_timer limit{this, [](fixture& self) {
                               self.timed_out = true;
                               self.cores.stop();
                           }};
};

}  // namespace

TEST(ws_connection, echoes_and_answers_pings_with_frames_right_behind_the_upgrade) {
    fixture f;
    f.client.until = "bye";
    f.client.next = f.stop();
    f.talk({upgrade_octets() + frame(opcode::text, "hello") + frame(opcode::ping, "p") + frame(opcode::text, "bye")});
    EXPECT_EQ(f.client.received, expected_upgrade() + "\x81\x05hello\x8a\x01p\x81\x03" + "bye");
    EXPECT_EQ(f.app.log, (std::vector<std::string>{"GET /ws upgradable", "open", "text hello", "text bye"}));
}

TEST(ws_connection, an_upgrade_may_arrive_octet_by_octet) {
    fixture f;
    std::vector<std::string> pieces;
    for (char c : upgrade_octets() + frame(opcode::text, "slow")) pieces.emplace_back(1, c);
    f.client.until = "slow";
    f.client.next = f.stop();
    f.talk(pieces);
    EXPECT_EQ(f.client.received, expected_upgrade() + "\x81\x04slow");
}

TEST(ws_connection, plain_requests_are_answered_in_order_and_the_connection_kept) {
    fixture f;
    f.client.on_end = f.stop();
    f.talk({"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"});
    EXPECT_EQ(f.app.log, (std::vector<std::string>{"GET /1", "HEAD /2", "GET /3"}));
    EXPECT_TRUE(f.client.received.ends_with("Connection: close\r\n\r\nhello"));
    EXPECT_TRUE(f.client.closed);
    EXPECT_EQ(f.listening->connections(), 0u);
}

TEST(ws_connection, a_flawed_handshake_gets_its_status) {
    fixture f;
    f.client.on_end = f.stop();
    f.talk({"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"});
    EXPECT_TRUE(f.client.received.starts_with("HTTP/1.1 426 Upgrade Required\r\n")) << f.client.received;
    EXPECT_NE(f.client.received.find("Sec-WebSocket-Version: 13"), std::string::npos);
}

TEST(ws_connection, a_head_that_is_too_large_is_refused) {
    fixture f;
    f.client.on_end = f.stop();
    f.talk({"GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x')});
    EXPECT_TRUE(f.client.received.starts_with("HTTP/1.1 431 ")) << f.client.received;
}

TEST(ws_connection, a_head_that_never_ends_is_given_up) {
    fixture f({.head_timeout = 100ms});
    f.client.on_end = f.stop();
    f.talk({"GET / HTTP/1.1\r\n"});
    EXPECT_TRUE(f.client.received.starts_with("HTTP/1.1 408 ")) << f.client.received;
}

TEST(ws_connection, the_client_s_close_is_echoed_and_the_server_closes_tcp) {
    fixture f;
    f.client.on_end = f.stop();
    f.talk({upgrade_octets() + close_frame(close_code::going_away) + "ignored"});
    EXPECT_EQ(f.client.received, expected_upgrade() + "\x88\x02\x03\xe9");
    EXPECT_EQ(f.app.log.back(), "closed 1001 clean");
    EXPECT_EQ(f.listening->connections(), 0u);
}

TEST(ws_connection, the_server_s_close_waits_for_the_client_s) {
    fixture f;
    f.client.on_end = f.stop();
    f.client.until = "as you wish";
    f.client.next = [&] { f.client.stream->write(frame(opcode::text, "too late") + close_frame(close_code(4001))); };
    f.talk({upgrade_octets() + frame(opcode::text, "close")});
    EXPECT_EQ(f.client.received, expected_upgrade() + "\x88\x0d\x0f\xa1" + "as you wish");
    EXPECT_EQ(f.app.log.back(), "closed 4001 clean");
}

// It was on its way when the close frame was written.
TEST(ws_connection, a_message_that_crosses_the_close_frame_is_taken_where_that_is_wanted) {
    for (const bool wanted : {true, false}) {
        fixture f;
        f.client.on_end = f.stop();
        f.client.until = "as you wish";
        f.client.next = [&] {
            f.client.stream->write(frame(opcode::text, "late") + close_frame(close_code(4001)) +
                                   frame(opcode::text, "too late"));
        };
        f.talk({upgrade_octets() + frame(opcode::text, wanted ? "send me away" : "close")});
        EXPECT_EQ(f.client.received, expected_upgrade() + "\x88\x0d\x0f\xa1" + "as you wish");
        EXPECT_EQ(std::ranges::count(f.app.log, "text late"), wanted ? 1 : 0);
        EXPECT_EQ(std::ranges::count(f.app.log, "text too late"), 0);
        EXPECT_EQ(f.app.log.back(), "closed 4001 clean");
    }
}

TEST(ws_connection, a_client_that_never_answers_the_close_is_dropped) {
    fixture f({.close_timeout = 100ms});
    f.client.on_end = f.stop();
    f.talk({upgrade_octets() + frame(opcode::text, "close")});
    EXPECT_EQ(f.app.log.back(), "closed 1006 unclean");
}

TEST(ws_connection, a_protocol_error_is_told_and_ends_the_connection) {
    fixture f;
    f.client.on_end = f.stop();
    f.talk({upgrade_octets() + frame(opcode::text, "\xff") + frame(opcode::text, "more")});
    EXPECT_TRUE(f.client.received.starts_with(expected_upgrade() + "\x88\x1d\x03\xef")) << f.client.received;
    EXPECT_EQ(f.app.log.back(), "closed 1007 unclean");
    EXPECT_EQ(f.app.log.size(), 3u);
}

TEST(ws_connection, abort_ends_at_once_from_inside_a_callback) {
    fixture f;
    f.client.on_end = f.stop();
    f.talk({upgrade_octets() + frame(opcode::text, "abort") + frame(opcode::text, "x")});
    f.app.on_end = nullptr;
    EXPECT_TRUE(f.client.closed);
    EXPECT_EQ(f.listening->connections(), 0u);
}

TEST(ws_connection, a_client_that_vanishes_is_noticed) {
    fixture f;
    f.client.until = "\r\n\r\n";
    f.client.next = [&] { f.client.stream->abort(); };
    f.app.on_end = f.stop();
    f.talk({upgrade_octets()});
    EXPECT_EQ(f.app.log.back(), "closed 1006 unclean");
}

TEST(ws_connection, a_flood_is_queued_by_reference_and_drains) {
    fixture f;
    std::size_t wanted = 100 * 100'010 + expected_upgrade().size();
    f.client.until = "x";
    std::function<void()> again = [&] {
        if (f.client.received.size() >= wanted) return f.cores.stop();
        f.client.next = again;
    };
    f.client.next = again;
    f.talk({upgrade_octets() + frame(opcode::text, "flood")});
    EXPECT_EQ(f.client.received.size(), wanted);
    // The socket takes what it can while the flood is being queued; the rest waits.
    EXPECT_GT(f.app.queued_max, 1'000'000u);
    EXPECT_LE(f.app.queued_max, wanted);
    EXPECT_EQ(std::count(f.app.log.begin(), f.app.log.end(), "drained"), 1);
}

TEST(ws_server, may_be_destroyed_inside_a_callback) {
    fixture f;
    f.app.on_end = [&] { f.listening.reset(); };
    f.client.on_end = f.stop();
    f.talk({upgrade_octets() + close_frame(close_code::normal)});
    EXPECT_EQ(f.app.log.back(), "closed 1000 clean");
    EXPECT_TRUE(f.client.received.ends_with("\x88\x02\x03\xe8"));  // its last words are said all the same
}

TEST(ws_server, tls_handshakes_count_as_connections) {
    fixture f;
    f.listening.reset();
    const auto tls =
        std::make_shared<net::tls_holder>(boost::asio::ssl::context(boost::asio::ssl::context::tls_server));
    server_options one;
    one.connections_max = 1;
    f.listening = *server::open(f.home, f.app, one, tls);
    boost::asio::io_context elsewhere;
    net::tcp::socket silent(elsewhere);
    silent.connect({boost::asio::ip::make_address("127.0.0.1"), f.listening->port()});
    f.client.on_end = f.stop();
    f.talk({});
    EXPECT_EQ(f.listening->counters().accepted, 1u);
    EXPECT_EQ(f.listening->counters().refused, 1u);
}

TEST(ws_server, connections_that_linger_count_until_they_are_gone) {
    fixture f;
    f.listening.reset();
    server_options one;
    one.connections_max = 1;
    one.connection.close_timeout = one.connection.idle_timeout = 200ms;
    f.listening = *server::open(f.home, f.app, one);
    raw_client second;
    second.on_end = f.stop();
    f.client.until = "400 Bad";
    f.client.next = [&] {
        f.client.stream->pause_reading();  // does not see that the server closes
        boost::asio::co_spawn(f.home.context(), f.connect_and_write({}, second), boost::asio::detached);
    };
    f.talk({"nonsense\r\n\r\n"});
    EXPECT_EQ(f.listening->connections(), 0u);
    EXPECT_EQ(f.listening->counters().refused, 1u);
}

TEST(ws_server, connections_over_the_limit_are_told_503) {
    fixture f;
    f.listening.reset();
    server_options none;
    none.connections_max = 0;
    std::vector<std::uint64_t> notices;
    none.on_refused = [&](const refusal_notice& what) {
        EXPECT_EQ(what.why, refusal::connections);
        notices.push_back(what.count);
    };
    f.listening = *server::open(f.home, f.app, none);
    f.client.on_end = f.stop();
    f.talk({upgrade_octets()});
    EXPECT_TRUE(f.client.received.starts_with("HTTP/1.1 503 ")) << f.client.received;
    EXPECT_NE(f.client.received.find("Retry-After: 5\r\n"), std::string::npos);
    EXPECT_EQ(f.listening->counters().refused, 1u);
    EXPECT_EQ(f.listening->counters().accepted, 0u);
    EXPECT_EQ(notices, (std::vector<std::uint64_t>{1}));
}

TEST(ws_server, when_too_many_are_told_at_once_the_others_are_closed) {
    fixture f;
    f.listening.reset();
    server_options none;
    none.connections_max = 0;
    none.refusals_max = 0;
    f.listening = *server::open(f.home, f.app, none);
    f.client.on_end = f.stop();
    f.talk({upgrade_octets()});
    EXPECT_TRUE(f.client.received.empty());
    EXPECT_EQ(f.listening->counters().refused_silently, 1u);
}

TEST(ws_server, a_connection_that_takes_from_the_reserve_is_told_503) {
    fixture f;
    f.listening.reset();
    server_options few;
    few.descriptors_max = 3;  // stdin, stdout and stderr
    f.listening = *server::open(f.home, f.app, few);
    f.client.on_end = f.stop();
    f.talk({upgrade_octets()});
    EXPECT_TRUE(f.client.received.starts_with("HTTP/1.1 503 ")) << f.client.received;
}

}  // namespace foz::ws
