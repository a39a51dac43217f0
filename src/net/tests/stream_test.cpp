#include "net/stream.hpp"

#include "net/connect.hpp"
#include "net/listener.hpp"
#include "net/runtime.hpp"
#include "net/tests/certificate.hpp"

#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace foz::net {
namespace {

using namespace std::chrono_literals;

// Sends back what it receives, in order, and stops reading above the high watermark.
struct echo final : stream_handler {
    explicit echo(std::shared_ptr<stream> s) : peer(std::move(s)) { peer->start(*this); }
    ~echo() { peer->abort(); }
    void on_octets(std::span<char> octets) override {
        peer->write({octets.data(), octets.size()});
        if (peer->above_high_watermark()) {
            ++pauses;
            peer->pause_reading();
        }
    }
    void on_drained() override { peer->resume_reading(); }
    void on_closed(error_code why) override { closed_with = why; }

    std::shared_ptr<stream> peer;
    error_code closed_with;
    int pauses = 0;
};

// Collects what it receives and stops the cores when it has `expected` octets or the stream has closed.
struct collector final : stream_handler {
    collector(runtime& r, std::size_t n) : cores(r), expected(n) {}
    ~collector() {
        if (peer) peer->abort();
    }
    void begin(std::shared_ptr<stream> s) {
        peer = std::move(s);
        if (!peer) return cores.stop();  // not connected: the test sees the error
        peer->start(*this);
    }
    void on_octets(std::span<char> octets) override {
        received.append(octets.data(), octets.size());
        if (received.size() >= expected) cores.stop();
    }
    void on_closed(error_code why) override {
        closed_with = why;
        cores.stop();
    }

    runtime& cores;
    std::size_t expected;
    std::shared_ptr<stream> peer;
    std::string received;
    error_code closed_with;
};

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
    return text;
}

asio::awaitable<void> connect_and(shard& home, connect_options options, std::string& error,
                                  std::function<void(std::shared_ptr<stream>)> use) {
    auto connected = co_await connect(home, std::move(options));
    if (connected) {
        use(std::move(*connected));
    } else {
        error = connected.error();
        use(nullptr);
    }
}

}  // namespace

TEST(stream, a_large_transfer_comes_back_whole_across_two_shards) {
    runtime cores(2);
    std::unique_ptr<echo> server;
    auto accepting = listener::open(cores.at(1), {}, [&](tcp::socket socket) {
        const stream_options small{.high_watermark_bytes = 16 * 1024, .low_watermark_bytes = 4 * 1024};
        server = std::make_unique<echo>(stream::plain(cores.at(1), std::move(socket), small));
    });
    ASSERT_TRUE(accepting);
    const std::string sent = pattern(8 * 1024 * 1024);
    collector client(cores, sent.size());
    std::string error;
    connect_options to{.host = "127.0.0.1", .port = (*accepting)->port()};
    asio::co_spawn(cores.at(0).context(),
                   connect_and(cores.at(0), to, error,
                               [&](std::shared_ptr<stream> s) {
                                   client.begin(s);
                                   for (std::size_t i = 0; i < sent.size(); i += 1000)
                                       s->send(frame_ref::copy(std::string_view(sent).substr(i, 1000)));
                               }),
                   asio::detached);
    cores.run();
    EXPECT_EQ(error, "");
    EXPECT_TRUE(client.received == sent);
    EXPECT_GT(server->pauses, 0);
}

TEST(stream, close_writes_what_is_queued_first) {
    runtime cores(1);
    std::shared_ptr<stream> server;
    auto accepting = listener::open(cores.at(0), {}, [&](tcp::socket socket) {
        server = stream::plain(cores.at(0), std::move(socket));
        server->write(pattern(3'000'000));
        server->close();
        server->write("too late");
    });
    ASSERT_TRUE(accepting);
    collector client(cores, SIZE_MAX);
    std::string error;
    connect_options to{.host = "127.0.0.1", .port = (*accepting)->port()};
    asio::co_spawn(cores.at(0).context(),
                   connect_and(cores.at(0), to, error, [&](std::shared_ptr<stream> s) { client.begin(s); }),
                   asio::detached);
    cores.run();
    EXPECT_EQ(client.closed_with, asio::error::eof);
    EXPECT_TRUE(client.received == pattern(3'000'000));
}

TEST(stream, a_peer_that_has_closed_its_own_direction_still_gets_what_is_queued) {
    runtime cores(1);
    struct answering final : stream_handler {
        void on_octets(std::span<char>) override { peer->write(pattern(5'000'000)); }
        void on_closed(error_code why) override { closed_with = why; }
        std::shared_ptr<stream> peer;
        error_code closed_with;
    } server;
    auto accepting = listener::open(cores.at(0), {}, [&](tcp::socket socket) {
        server.peer = stream::plain(cores.at(0), std::move(socket));
        server.peer->start(server);
    });
    ASSERT_TRUE(accepting);
    // A client that asks, sends its FIN, and reads slowly on a thread of its own.
    std::size_t received = 0;
    std::jthread client([&, port = (*accepting)->port()] {
        asio::io_context context;
        tcp::socket socket(context);
        socket.connect({asio::ip::address_v4::loopback(), port});
        asio::write(socket, asio::buffer("ask", 3));
        socket.shutdown(tcp::socket::shutdown_send);
        std::vector<char> buffer(100'000);
        error_code error;
        while (!error) received += socket.read_some(asio::buffer(buffer), error);
        cores.stop();
    });
    cores.run();
    client.join();
    EXPECT_EQ(received, 5'000'000u);
    EXPECT_EQ(server.closed_with, asio::error::eof);
}

TEST(stream, paused_reading_delivers_nothing_until_it_is_resumed) {
    runtime cores(1);
    std::shared_ptr<stream> server;
    auto accepting = listener::open(cores.at(0), {}, [&](tcp::socket socket) {
        server = stream::plain(cores.at(0), std::move(socket));
        server->write("hello");
    });
    ASSERT_TRUE(accepting);
    collector client(cores, 5);
    std::string error;
    bool early = false;
    asio::steady_timer timer(cores.at(0).context());
    connect_options to{.host = "127.0.0.1", .port = (*accepting)->port()};
    asio::co_spawn(cores.at(0).context(),
                   connect_and(cores.at(0), to, error,
                               [&](std::shared_ptr<stream> s) {
                                   client.begin(s);
                                   s->pause_reading();
                                   timer.expires_after(100ms);
                                   timer.async_wait([&](error_code) {
                                       early = !client.received.empty();
                                       client.peer->resume_reading();
                                   });
                               }),
                   asio::detached);
    cores.run();
    EXPECT_FALSE(early);
    EXPECT_EQ(client.received, "hello");
}

TEST(stream, tls_verifies_the_server_and_carries_a_large_transfer) {
    const certificate files;
    auto context = make_tls_context(tls_server_options{files.cert_file, files.key_file});
    ASSERT_TRUE(context) << context.error();
    const auto shared = std::make_shared<asio::ssl::context>(std::move(*context));
    runtime cores(1);
    std::vector<std::unique_ptr<echo>> servers;
    auto accepting = listener::open(cores.at(0), {}, [&](tcp::socket socket) {
        shake_hands(cores.at(0), std::move(socket), shared, 5s, [&](error_code failed, tls_socket secure) {
            if (!failed) servers.push_back(std::make_unique<echo>(stream::tls(cores.at(0), std::move(secure))));
        });
    });
    ASSERT_TRUE(accepting);
    const std::string sent = pattern(2 * 1024 * 1024);
    collector client(cores, sent.size());
    std::string refused, error;
    connect_options to{
        .host = "127.0.0.1", .port = (*accepting)->port(), .tls = tls_client_options{.server_name = "localhost"}};
    // Not signed by anyone the system knows: refused.
    asio::co_spawn(cores.at(0).context(),
                   connect_and(cores.at(0), to, refused,
                               [&](std::shared_ptr<stream>) {
                                   to.tls->ca_file = files.cert_file;
                                   asio::co_spawn(cores.at(0).context(),
                                                  connect_and(cores.at(0), to, error,
                                                              [&](std::shared_ptr<stream> s) {
                                                                  if (!s) return cores.stop();
                                                                  client.begin(s);
                                                                  s->write(sent);
                                                              }),
                                                  asio::detached);
                               }),
                   asio::detached);
    cores.run();
    EXPECT_NE(refused.find("TLS handshake"), std::string::npos) << refused;
    EXPECT_EQ(error, "");
    EXPECT_TRUE(client.received == sent);
}

TEST(connect, says_what_failed) {
    runtime cores(1);
    std::uint16_t closed_port = 0;
    {
        auto accepting = listener::open(cores.at(0), {}, [](tcp::socket) {});
        ASSERT_TRUE(accepting);
        closed_port = (*accepting)->port();
    }
    std::string error;
    connect_options to{.host = "127.0.0.1", .port = closed_port};
    asio::co_spawn(cores.at(0).context(),
                   connect_and(cores.at(0), to, error, [&](std::shared_ptr<stream>) { cores.stop(); }), asio::detached);
    cores.run();
    EXPECT_EQ(error, "127.0.0.1:" + std::to_string(closed_port) + ": connect: Connection refused");
}

TEST(connect, a_host_is_resolved) {
    runtime cores(1);
    auto accepting = listener::open(cores.at(0), {}, [](tcp::socket) {});
    ASSERT_TRUE(accepting);
    std::string error;
    connect_options to{.host = "localhost", .port = (*accepting)->port()};
    asio::co_spawn(cores.at(0).context(),
                   connect_and(cores.at(0), to, error, [&](std::shared_ptr<stream>) { cores.stop(); }), asio::detached);
    cores.run();
    // A machine without /etc/hosts (a fresh chroot) knows no localhost: then that is what is said.
    const bool resolved = error.empty();
    EXPECT_TRUE(resolved || error.starts_with("localhost:" + std::to_string(to.port) + ": resolve: ")) << error;
}

TEST(connect, a_peer_that_never_shakes_hands_is_given_up) {
    runtime cores(1);
    std::shared_ptr<tcp::socket> silent;
    auto accepting = listener::open(
        cores.at(0), {}, [&](tcp::socket socket) { silent = std::make_shared<tcp::socket>(std::move(socket)); });
    ASSERT_TRUE(accepting);
    std::string error;
    connect_options to{.host = "127.0.0.1", .port = (*accepting)->port(), .timeout = 1s, .tls = tls_client_options{}};
    asio::co_spawn(cores.at(0).context(),
                   connect_and(cores.at(0), to, error, [&](std::shared_ptr<stream>) { cores.stop(); }), asio::detached);
    cores.run();
    EXPECT_NE(error.find("TLS handshake: timed out"), std::string::npos) << error;
    silent.reset();
}

TEST(listener, a_taken_port_is_named) {
    runtime cores(1);
    auto first = listener::open(cores.at(0), {.reuse_port = false}, [](tcp::socket) {});
    ASSERT_TRUE(first);
    auto second = listener::open(cores.at(0), {.port = (*first)->port(), .reuse_port = false}, [](tcp::socket) {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(),
              "can't listen on 127.0.0.1:" + std::to_string((*first)->port()) + ": Address already in use");
}

}  // namespace foz::net
