// The broker's door over real sockets: what TCP does to connections.
#include "broker/front/server.hpp"

#include "amqp/codec/encode.hpp"
#include "broker/core/tests/rig.hpp"

#include <future>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using boost::asio::ip::tcp;
using namespace std::chrono_literals;

// A broker on a thread of its own.
class door {
public:
    explicit door(std::string address = "127.0.0.1") : address_(std::move(address)) {
        std::promise<std::uint16_t> ready;
        thread_ = std::thread([this, &ready] {
            model_.emplace(disk_, time_, system_random());
            model_->start({"/"});
            open();
            ready.set_value(server_->port());
            home_.run();
            server_.reset();
        });
        port = ready.get_future().get();
    }
    ~door() {
        home_.stop();
        thread_.join();
    }

    // On the broker's thread.
    template <class Work>
    auto ask(Work work) {
        std::packaged_task<decltype(work())()> task(work);
        auto answer = task.get_future();
        home_.post([&] { task(); });
        return answer.get();
    }
    void open() {
        server_.emplace(home_, *model_,
                        server_options{.listen = {.address = address_, .port = 0, .reuse_port = false},
                                       .limits = {},
                                       .users = {{.name = "guest",
                                                  .password_hash = hash_password("guest", 1),
                                                  .loopback_only = true,
                                                  .vhosts = {{"*", {}}}}},
                                       .version = "0",
                                       .notice = [this](const std::string& line) { notices.push_back(line); }});
        if (!server_->listen()) throw std::runtime_error("the broker can't listen");
    }
    void close() { server_.reset(); }
    std::size_t connections() {
        return ask([this] { return server_ ? server_->connections() : 0; });
    }
    queue* find(const std::string& name) {
        const auto& all = model_->find_vhost("/")->queues();
        const auto at = all.find(name);
        return at == all.end() ? nullptr : at->second.get();
    }
    node& model() { return *model_; }
    server& front() { return *server_; }
    void commit() {
        disk_.commit();
        server_->on_committed();
    }
    // True when it holds within ten seconds; each look is a turn of the broker's.
    template <class Condition>
    bool eventually(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (std::chrono::steady_clock::now() < end) {
            if (ask(condition)) return true;
            std::this_thread::yield();
        }
        return false;
    }

    std::uint16_t port = 0;
    std::vector<std::string> notices;  // of the broker's thread

private:
    const std::string address_;
    clock time_;
    memory_storage disk_;
    net::shard home_{0, time_, system_random()};
    std::optional<node> model_;
    std::optional<server> server_;
    std::thread thread_;
};

class peer {
public:
    explicit peer(std::uint16_t port) : socket_(context_) {
        socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
        socket_.set_option(tcp::no_delay(true));
    }
    peer& open(std::string_view user = "guest", std::string_view password = "guest") {
        send(amqp::protocol_header_octets);
        amqp::connection_start_ok login;
        login.mechanism = "PLAIN";
        login.response.append(1, '\0').append(user).append(1, '\0').append(password);
        amqp::connection_tune_ok tune;
        tune.channel_max = 2'047;
        tune.frame_max = 131'072;
        amqp::connection_open enter;
        enter.virtual_host = "/";
        for (const amqp::method& m : {amqp::method(login), amqp::method(tune), amqp::method(enter)}) send(0, m);
        send(1, amqp::channel_open{});
        return *this;
    }
    void send(std::string_view octets) { boost::asio::write(socket_, boost::asio::buffer(octets)); }
    void send(std::uint16_t number, const amqp::method& m) {
        std::string octets;
        (void)amqp::encode_method(octets, number, m);
        send(octets);
    }
    void declare(const std::string& name) {
        amqp::queue_declare m;
        m.queue = name;
        m.no_wait = true;
        send(1, m);
    }
    void consume(const std::string& name) {
        amqp::basic_consume m;
        m.queue = name;
        m.no_wait = true;
        send(1, m);
    }
    void publish(const std::string& key, std::string_view body) {
        amqp::basic_publish m;
        m.routing_key = key;
        std::string octets;
        (void)amqp::encode_content(octets, {.channel = 1, .frame_max = 131'072}, m, {}, body);
        send(octets);
    }
    // Until the broker closes: the octets that came.
    std::string read_to_end() {
        std::string all;
        boost::system::error_code end;
        boost::asio::read(socket_, boost::asio::dynamic_buffer(all), end);
        return all;
    }
    // Read `size` octets or what there is until the end.
    std::size_t read(std::size_t size) {
        std::string all(size, '\0');
        boost::system::error_code end;
        return boost::asio::read(socket_, boost::asio::buffer(all), end);
    }
    void half_close() { socket_.shutdown(tcp::socket::shutdown_send); }
    // TCP's RST instead of its FIN.
    void reset() {
        socket_.set_option(boost::asio::socket_base::linger(true, 0));
        socket_.close();
    }
    void close() { socket_.close(); }

private:
    boost::asio::io_context context_;
    tcp::socket socket_;
};

}  // namespace

TEST(server, a_socket_that_is_reset_gives_back_what_it_had) {
    door d;
    peer a(d.port);
    a.open().declare("q");
    for (int i = 0; i < 10; ++i) a.publish("q", "m");
    a.consume("q");
    ASSERT_TRUE(d.eventually([&] { return d.find("q") && d.find("q")->unacked_count() == 10; }));
    a.reset();
    EXPECT_TRUE(d.eventually([&] { return d.find("q")->ready_count() == 10 && d.find("q")->consumer_count() == 0; }));
    EXPECT_EQ(d.connections(), 0u);
}

TEST(server, a_client_that_closes_its_direction_has_ended) {
    door d;
    peer a(d.port);
    a.open().declare("q");
    a.consume("q");
    ASSERT_TRUE(d.eventually([&] { return d.find("q") && d.find("q")->consumer_count() == 1; }));
    a.half_close();
    (void)a.read_to_end();
    EXPECT_TRUE(d.eventually([&] { return d.front().connections() == 0; }));
    EXPECT_EQ(d.ask([&] { return d.find("q")->consumer_count(); }), 0u);
}

TEST(server, a_reader_that_stops_holds_up_nobody_and_costs_a_megabyte_or_so) {
    door d;
    peer slow(d.port);
    slow.open().declare("q");
    slow.consume("q");
    ASSERT_TRUE(d.eventually([&] { return d.find("q") && d.find("q")->consumer_count() == 1; }));
    peer busy(d.port);
    busy.open();
    const std::string body(100'000, 'x');
    constexpr std::size_t count = 400;
    for (std::size_t i = 0; i < count; ++i) busy.publish("q", body);
    ASSERT_TRUE(d.eventually([&] { return d.find("q")->ready_count() + d.find("q")->unacked_count() == count; }));
    // What is not in the kernel's buffers and the stream's is in the queue.
    EXPECT_GT(d.ask([&] { return d.find("q")->ready_count(); }), count / 2);
    EXPECT_EQ(slow.read(count * body.size()), count * body.size());
    EXPECT_TRUE(d.eventually([&] { return d.find("q")->ready_count() == 0; }));
}

TEST(server, the_door_may_be_destroyed_with_everyone_inside_and_an_alarm_that_has_just_rung) {
    door d;
    peer a(d.port);
    peer b(d.port);
    peer silent(d.port);
    a.open().declare("q");
    a.consume("q");
    b.open();
    ASSERT_TRUE(d.eventually([&] { return d.front().connections() == 3 && d.find("q"); }));
    d.ask([&] {
        queue_request wish{.name = "ttl", .flags = {}, .arguments = {{"x-message-ttl", 1}}};
        queue& made = **d.model().find_vhost("/")->declare(wish, 1);
        made.publish(make_message("m"));
        // The timer is due before the loop can look at it.
        const auto due = std::chrono::steady_clock::now() + 5ms;
        while (std::chrono::steady_clock::now() < due) std::this_thread::yield();
    });
    d.ask([&] { d.close(); });
    EXPECT_EQ(d.connections(), 0u);
    (void)a.read_to_end();
    (void)silent.read_to_end();
    EXPECT_EQ(d.ask([&] { return d.find("q")->consumer_count(); }), 0u);
}

// On a socket for both families this machine is ::ffff:127.0.0.1.
TEST(server, guest_gets_in_from_this_machine_over_ipv6_too) {
    door d("::");
    peer p(d.port);
    p.open().declare("q");
    EXPECT_TRUE(d.eventually([&] { return d.find("q") != nullptr; }));
}

TEST(server, refused_logins_are_told_at_a_bounded_rate_and_without_tricks) {
    door d;
    for (int i = 0; i < 20; ++i) {
        peer p(d.port);
        p.open("ev\nil", "secret");
        p.read_to_end();
    }
    const std::vector<std::string> told = d.ask([&] { return d.notices; });
    ASSERT_FALSE(told.empty());
    EXPECT_LT(told.size(), 10u);
    EXPECT_TRUE(told[0].starts_with("login refused: \"ev\\nil\" from 127.0.0.1:")) << told[0];
    EXPECT_TRUE(told[0].ends_with(": no such user, or a wrong password")) << told[0];
}

TEST(server, expirations_happen_by_themselves) {
    door d;
    d.ask([&] {
        queue_request wish{.name = "ttl", .flags = {}, .arguments = {{"x-message-ttl", 20}, {"x-expires", 60}}};
        (*d.model().find_vhost("/")->declare(wish, 1))->publish(make_message("m"));
    });
    EXPECT_TRUE(d.eventually([&] { return !d.find("ttl") || d.find("ttl")->ready_count() == 0; }));
    EXPECT_TRUE(d.eventually([&] { return d.find("ttl") == nullptr; }));
}

TEST(server, a_shutdown_tells_clients_and_stops_listening) {
    door d;
    peer a(d.port);
    a.open().declare("q");
    ASSERT_TRUE(d.eventually([&] { return d.find("q") != nullptr; }));
    d.ask([&] { d.front().shut_down(); });
    a.send(0, amqp::connection_close_ok{});
    EXPECT_NE(a.read_to_end().find("CONNECTION_FORCED - the broker is shutting down"), std::string::npos);
    EXPECT_THROW(peer{d.port}, std::exception);
}

}  // namespace foz::broker
