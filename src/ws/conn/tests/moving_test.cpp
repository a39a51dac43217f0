// A connection goes from one shard to another with all that was said and all that is known.
#include "net/connect.hpp"
#include "net/runtime.hpp"
#include "net/tests/certificate.hpp"
#include "net/tls.hpp"
#include "ws/conn/server.hpp"
#include "ws/conn/tests/loopback.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using namespace std::chrono_literals;
using namespace loopback;

struct named_note final : request_note {
    explicit named_note(std::string t) : text(std::move(t)) {}
    const std::string text;
};

// Sends every WebSocket to shard 1, at once or when a turn has passed.
struct sorting_application final : application {
    decision on_request(const http_request& request, const net::tcp::endpoint&, bool) override {
        EXPECT_FALSE(request.note);
        if (request.path != "/ws") return http_response{.body = "hello"};
        const elsewhere to{.shard = 1, .note = std::make_shared<named_note>("known")};
        if (!waits_on) return to;
        return later{[this, to](const answer_slot& slot) { waits_on->post([slot, to] { slot(to); }); }};
    }
    net::shard* waits_on = nullptr;
};

// The other shard's: it is told what the first one knows.
struct told_application final : application {
    decision on_request(const http_request& request, const net::tcp::endpoint& from, bool upgradable) override {
        const auto* const note = dynamic_cast<const named_note*>(request.note.get());
        told.push_back(note ? note->text : "nothing");
        return echo.on_request(request, from, upgradable);
    }
    echo_application echo;
    std::vector<std::string> told;
};

boost::asio::awaitable<void> connect_and_write(net::shard& home, net::connect_options to, std::string octets,
                                               raw_client& who) {
    auto connected = co_await net::connect(home, to);
    EXPECT_TRUE(connected) << connected.error();
    if (!connected) co_return;
    who.stream = *connected;
    who.stream->start(who);
    who.stream->write(octets);
}

// What a client hears whose connection moves from shard 0 to shard 1.
std::string talk_to_another_shard(const std::shared_ptr<const net::tls_holder>& tls,
                                  std::optional<net::tls_client_options> client_tls, const std::string& octets,
                                  const std::string& until, bool later = false) {
    net::runtime cores{2};
    net::wheel_timer limit{&cores, [](net::runtime& all) { all.stop(); }};
    limit.start(cores.at(0).wheel(), 10s);
    sorting_application sorting;
    if (later) sorting.waits_on = &cores.at(0);
    told_application told;
    std::unique_ptr<server> target = *server::open(cores.at(1), told, {}, tls);
    server_options options;
    options.move = [&](unsigned shard, moved_connection moved) {
        cores.at(shard).post([&, moved = std::move(moved)]() mutable { target->adopt(std::move(moved)); });
    };
    std::unique_ptr<server> first = *server::open(cores.at(0), sorting, options, tls);
    raw_client client;
    client.until = until;
    client.next = client.on_end = [&] { cores.stop(); };
    net::connect_options to{.host = "127.0.0.1", .port = first->port(), .tls = client_tls};
    boost::asio::co_spawn(cores.at(0).context(), connect_and_write(cores.at(0), to, octets, client),
                          boost::asio::detached);
    cores.run();
    EXPECT_FALSE(client.closed);
    EXPECT_EQ(first->connections(), 0u);
    EXPECT_EQ(target->connections(), 1u);
    EXPECT_EQ(target->counters().accepted, 0u);
    EXPECT_EQ(told.told, std::vector<std::string>{"known"});
    return client.received;
}

std::string echoed(const std::string& text) {
    std::string out;
    append_frame(out, opcode::text, text);
    return out;
}

}  // namespace

TEST(ws_server, a_connection_moves_to_another_shard_with_all_that_was_said) {
    // An answer that is not written yet, and a frame right behind the upgrade.
    const std::string octets = "GET / HTTP/1.1\r\nHost: h\r\n\r\n" + upgrade_octets() + frame(opcode::text, "early");
    const std::string heard = talk_to_another_shard(nullptr, std::nullopt, octets, echoed("early"));
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 OK")) << heard;
    EXPECT_TRUE(heard.ends_with("hello" + expected_upgrade() + echoed("early"))) << heard;
}

TEST(ws_server, a_connection_moves_to_another_shard_under_tls) {
    const net::certificate files;
    auto context = net::make_tls_context(net::tls_server_options{files.cert_file, files.key_file});
    ASSERT_TRUE(context) << context.error();
    const net::tls_client_options client{.ca_file = files.cert_file, .server_name = "localhost"};
    // More than a TLS record: the last one waits undecrypted when the upgrade is taken.
    const std::string text(20'000, 'x');
    const std::string octets = "GET / HTTP/1.1\r\nHost: h\r\n\r\n" + upgrade_octets() + frame(opcode::text, text);
    const std::string heard =
        talk_to_another_shard(std::make_shared<net::tls_holder>(std::move(*context)), client, octets, echoed(text));
    EXPECT_TRUE(heard.ends_with("hello" + expected_upgrade() + echoed(text)));
}

TEST(ws_server, a_connection_that_had_to_wait_moves_to_another_shard_too) {
    const std::string octets = "GET / HTTP/1.1\r\nHost: h\r\n\r\n" + upgrade_octets() + frame(opcode::text, "early");
    const std::string heard = talk_to_another_shard(nullptr, std::nullopt, octets, echoed("early"), true);
    EXPECT_TRUE(heard.ends_with("hello" + expected_upgrade() + echoed("early"))) << heard;

    const net::certificate files;
    auto context = net::make_tls_context(net::tls_server_options{files.cert_file, files.key_file});
    ASSERT_TRUE(context) << context.error();
    const net::tls_client_options client{.ca_file = files.cert_file, .server_name = "localhost"};
    const std::string under_tls = talk_to_another_shard(std::make_shared<net::tls_holder>(std::move(*context)), client,
                                                        octets, echoed("early"), true);
    EXPECT_TRUE(under_tls.ends_with("hello" + expected_upgrade() + echoed("early"))) << under_tls;
}

}  // namespace foz::ws
