// What a real broker can hardly be made to do at the right moment: a small one that plays it. It speaks through the
// codec.
#pragma once

#include "amqp/codec/encode.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "net/listener.hpp"
#include "net/runtime.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace foz::amqp {

using namespace std::chrono_literals;

// One connection's server side: shakes hands, opens channels, takes publishes, confirms them when it wants to.
class played_connection final : public net::stream_handler {
public:
    struct wishes {
        std::function<bool(std::uint16_t channel)> confirms = [](std::uint16_t) { return true; };
        std::function<void(played_connection&)> on_open = [](played_connection&) {};
        // What is not answered by itself: true when this has dealt with it.
        std::function<bool(played_connection&, std::uint16_t channel, message&)> deals;
        std::vector<std::string>* published = nullptr;  // "channel:body"
    };

    played_connection(std::shared_ptr<net::stream> s, const wishes& w) : stream_(std::move(s)), wishes_(w) {
        stream_->start(*this);
    }
    ~played_connection() { stream_->abort(); }

    template <class Method>
    void say(std::uint16_t channel, const Method& m) {
        std::string octets;
        EXPECT_TRUE(encode_method(octets, channel, m));
        stream_->write(octets);
    }
    template <content_method Method>
    void say_content(std::uint16_t channel, const Method& m, const basic_properties& properties,
                     std::string_view body) {
        std::string octets;
        EXPECT_TRUE(encode_content(octets, {channel, 131'072}, m, properties, body));
        stream_->write(octets);
    }
    bool open() const { return stream_->open(); }
    void pause() { stream_->pause_reading(); }
    void resume() { stream_->resume_reading(); }

private:
    void on_octets(std::span<char> octets) override {
        std::string_view input(octets.data(), octets.size());
        for (;;) {
            const auto next = parser_.next(input);
            ASSERT_TRUE(next);
            if (!*next) return;
            on_frame(**next);
        }
    }
    void on_closed(net::error_code) override {}

    void on_frame(const frame& f) {
        if (f.type == frame_type::heartbeat) return;
        if (f.type == frame_type::protocol_header) {
            connection_start offer;
            offer.version_minor = 9;
            offer.mechanisms = "PLAIN";
            offer.locales = "en_US";
            return say(0, offer);
        }
        const auto whole = assemblers_[f.channel].feed(f);
        ASSERT_TRUE(whole);
        if (*whole) on_message(f.channel, **whole);
    }
    void on_message(std::uint16_t channel, message& m) {
        const auto is = [&]<class Method>(const Method&) { return std::holds_alternative<Method>(m.method); };
        if (is(connection_start_ok())) return say(0, connection_tune{.channel_max = 100, .frame_max = 131'072});
        if (is(connection_open())) {
            say(0, connection_open_ok());
            return wishes_.on_open(*this);
        }
        if (is(connection_close())) return say(0, connection_close_ok());
        if (wishes_.deals && wishes_.deals(*this, channel, m)) return;
        if (is(channel_open())) return say(channel, channel_open_ok());
        if (is(channel_close())) return say(channel, channel_close_ok());
        if (is(confirm_select())) {
            tags_[channel] = 0;
            return say(channel, confirm_select_ok());
        }
        if (!is(basic_publish())) return;
        wishes_.published->push_back(std::to_string(channel) + ":" + std::string(m.body));
        ++tags_[channel];
        if (wishes_.confirms(channel)) say(channel, basic_ack{.delivery_tag = tags_[channel]});
    }

    std::shared_ptr<net::stream> stream_;
    const wishes wishes_;
    frame_parser parser_{role::server, 131'072};
    std::map<std::uint16_t, content_assembler> assemblers_;
    std::map<std::uint16_t, std::uint64_t> tags_;
};

// The broker that is played, one core for both sides, and a time after which the test has failed.
struct stage : client_events {
    explicit stage(const net::tls_server_options* tls = nullptr) {
        wish.published = &published;
        if (tls) secure = std::make_shared<asio::ssl::context>(*net::make_tls_context(*tls));
        auto opened = net::listener::open(home, {}, [this](net::tcp::socket s) {
            if (secure) return shake_hands(std::move(s));
            play(net::stream::plain(home, std::move(s)));
        });
        EXPECT_TRUE(opened);
        listening = std::move(*opened);
        limit.start(home.wheel(), 20s);
    }
    virtual ~stage() = default;

    void play(std::shared_ptr<net::stream> s) { peers.push_back(std::make_unique<played_connection>(s, wish)); }
    void shake_hands(net::tcp::socket socket) {
        net::shake_hands(home, std::move(socket), secure, std::chrono::seconds(10),
                         [this](net::error_code error, net::tls_socket shaken) {
                             if (!error) play(net::stream::tls(home, std::move(shaken)));
                         });
    }
    url to() const {
        url where;
        where.host = "127.0.0.1";
        where.port = listening->port();
        where.tls = secure != nullptr;
        return where;
    }
    void run() {
        cores.run();
        EXPECT_FALSE(timed_out);
    }
    static asio::awaitable<void> end(client& c, net::runtime& cores) {
        co_await c.stop();
        cores.stop();
    }
    void end(client& c) { asio::co_spawn(home.context(), end(c, cores), asio::detached); }

    void on_blocked(bool blocked, const std::string& reason) override {
        told.push_back(blocked ? "blocked: " + reason : "unblocked");
        if (then) then(blocked);
    }
    void on_disconnected(const error& why, std::chrono::milliseconds) override {
        problem = why.text;
        if (gave_up) gave_up();
    }

    net::runtime cores{1};
    net::shard& home = cores.at(0);
    std::shared_ptr<asio::ssl::context> secure;
    played_connection::wishes wish;
    std::vector<std::string> published, told;
    std::string problem;
    std::function<void(bool)> then;
    std::function<void()> gave_up;
    std::vector<std::unique_ptr<played_connection>> peers;
    std::unique_ptr<net::listener> listening;
    bool timed_out = false;
    net::wheel_timer limit{this, [](stage& self) {
                               self.timed_out = true;
                               self.cores.stop();
                           }};
};

inline publication saying(std::string body) {
    publication p;
    p.routing_key = "q";
    p.body = std::move(body);
    return p;
}

}  // namespace foz::amqp
