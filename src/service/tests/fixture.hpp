// A worker between clients and a real broker, for the tests of this folder: FOZ_TEST_BROKER is the broker's URL.
#pragma once

#include "amqp/codec/frame_parser.hpp"
#include "amqp/codec/methods.hpp"
#include "amqp/codec/url.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "contract/topology.hpp"
#include "net/runtime.hpp"
#include "service/worker.hpp"

#include <atomic>
#include <cstdlib>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace foz::service {

using namespace std::chrono_literals;

inline std::string broker() {
    const char* text = std::getenv("FOZ_TEST_BROKER");
    if (!text) throw std::runtime_error("FOZ_TEST_BROKER is not set: run this test through ctest");
    return text;
}

// Channels of its own for each test, so that none finds what another one left.
struct channels {
    channels() {
        const std::string tag = "t" + base32(system_random().token()).substr(0, 8);
        all = {{.name = tag + "a", .delivery_limit = 3}, {.name = tag + "b"}};
    }
    const std::string& a() const { return all[0].name; }
    const std::string& b() const { return all[1].name; }
    static std::string base32(const std::string& text) {
        std::string out;
        for (char c : text)
            if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
        return out + "00000000";
    }
    std::vector<contract::channel_settings> all;
};

struct heard {
    std::string exchange, routing_key, body;
    amqp::basic_properties properties;
};

// The clients' side: publishes requests and hears what comes out, on a thread of its own.
class peer final : private amqp::channel_handler {
public:
    explicit peer(const channels& names)
        : names_(names), client_(home_, {.urls = {*amqp::parse_url(broker())}}), publisher_(client_) {
        link_ = client_.open_channel(*this);
        client_.start();
        thread_ = std::thread([this] { cores_.run(); });
        ready_.get_future().wait();
    }
    ~peer() {
        cores_.stop();
        thread_.join();
    }

    // What an aggregator would publish for a client.
    amqp::publication request_from(const std::string& client, const std::string& channel, const std::string& type,
                                   const std::string& body, const std::string& id) const {
        amqp::publication p;
        p.exchange = contract::inbound_exchange;
        p.routing_key = channel + ".some.topic";
        p.properties.type = type;
        if (!id.empty()) p.properties.message_id = id;
        p.properties.reply_to = queue_;
        p.properties.correlation_id = "c-" + id;
        p.properties.headers =
            amqp::table{{"foz-client", client}, {"foz-session", "s1"}, {"traceparent", "00-ab-cd-01"}};
        p.body = body;
        return p;
    }
    void publish(amqp::publication p) {
        std::promise<amqp::outcome> confirmed;
        home_.post([&] { publisher_.publish(std::move(p), 10s, [&](amqp::outcome o) { confirmed.set_value(o); }); });
        EXPECT_EQ(confirmed.get_future().get(), amqp::outcome::confirmed);
    }
    void send(const std::string& channel, const std::string& type, const std::string& body, const std::string& id) {
        publish(request_from("ann", channel, type, body, id));
    }
    // As the client's socket would, which was asked.
    void answer(const heard& question, const std::string& body) {
        amqp::publication p;
        p.routing_key = question.properties.reply_to.value();
        p.properties.correlation_id = question.properties.correlation_id;
        p.body = body;
        publish(std::move(p));
    }
    // Waits for so many messages.
    std::vector<heard> hear(std::size_t count) {
        for (int i = 0; i < 1000; ++i) {
            {
                const std::lock_guard lock(mutex_);
                if (heard_.size() >= count) return heard_;
            }
            std::this_thread::sleep_for(10ms);
        }
        const std::lock_guard lock(mutex_);
        ADD_FAILURE() << "heard " << heard_.size() << " of " << count;
        return heard_;
    }

    const std::string queue_ = "peer-" + system_random().token();

private:
    static amqp::queue_declare queue(const std::string& name) {
        amqp::queue_declare method;
        method.queue = name;
        method.exclusive = true;
        return method;
    }
    static amqp::queue_bind bind(const std::string& name, const std::string& key) {
        amqp::queue_bind method;
        method.queue = name;
        method.exchange = contract::outbound_exchange;
        method.routing_key = key;
        return method;
    }
    static amqp::basic_consume consume(const std::string& name) {
        amqp::basic_consume method;
        method.queue = name;
        method.no_ack = true;
        return method;
    }
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override {
        auto declared = co_await contract::declare(self, contract::make_topology(names_.all));
        if (!declared) co_return declared;
        auto made = co_await self.call(queue(queue_));
        if (!made) co_return std::unexpected(made.error());
        auto bound = co_await self.call(bind(queue_, names_.all[0].binding_key()));
        if (!bound) co_return std::unexpected(bound.error());
        auto consuming = co_await self.call(consume(queue_));
        if (!consuming) co_return std::unexpected(consuming.error());
        co_return amqp::result<void>{};
    }
    void on_ready(amqp::channel&) override { ready_.set_value(); }
    void on_delivery(amqp::channel&, const amqp::delivery& d) override {
        const std::lock_guard lock(mutex_);
        heard_.push_back({std::string(d.exchange), std::string(d.routing_key), std::string(d.body), d.properties});
    }

    const channels& names_;
    net::runtime cores_{1};
    net::shard& home_ = cores_.at(0);
    amqp::client client_;
    amqp::publisher publisher_;
    std::shared_ptr<amqp::channel> link_;
    std::promise<void> ready_;
    std::mutex mutex_;
    std::vector<heard> heard_;
    std::thread thread_;
};

// A worker on a thread of its own.
struct running {
    explicit running(worker& w) : self(w) {
        std::promise<void> ready;
        w.on_ready([&, told = false]() mutable {
            if (!std::exchange(told, true)) ready.set_value();
        });
        thread = std::thread([&w] { w.run(false); });
        ready.get_future().wait();
    }
    ~running() { stop(); }
    void stop() {
        if (!thread.joinable()) return;
        self.stop();
        thread.join();
    }
    worker& self;
    std::thread thread;
};

inline worker_options options(const channels& names, std::uint16_t concurrency = 1) {
    return {.broker_urls = {broker()}, .concurrency = concurrency, .channels = names.all};
}

template <class Condition>
void wait_until(Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(condition());
}

// Between a worker and the broker: cuts their connections, and sees which consumers are begun.
class relay {
public:
    relay() : to_(*amqp::parse_url(broker())), acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
        boost::asio::co_spawn(context_, accept(), boost::asio::detached);
        thread_ = std::thread([this] { context_.run(); });
    }
    ~relay() {
        context_.stop();
        thread_.join();
    }
    // The broker's URL through here.
    std::string url() const {
        std::string text = broker();
        const std::string port = ":" + std::to_string(to_.port);
        text.replace(text.rfind(port), port.size(), ":" + std::to_string(acceptor_.local_endpoint().port()));
        return text;
    }
    void cut() {
        boost::asio::post(context_, [this] {
            for (const auto& weak : sockets_)
                if (const auto socket = weak.lock()) socket->close();
            sockets_.clear();
        });
    }

    // In order, those of all AMQP channels together.
    std::vector<std::string> consumer_tags() {
        const std::lock_guard lock(mutex_);
        return consumer_tags_;
    }

private:
    using tcp = boost::asio::ip::tcp;
    using socket_ptr = std::shared_ptr<tcp::socket>;

    boost::asio::awaitable<void> accept() {
        for (;;) {
            auto client = co_await acceptor_.async_accept(boost::asio::use_awaitable);
            const auto near = std::make_shared<tcp::socket>(std::move(client));
            const auto far = std::make_shared<tcp::socket>(context_);
            far->connect({boost::asio::ip::address_v4::loopback(), to_.port});
            for (const auto& one : {near, far}) {
                one->set_option(tcp::no_delay(true));
                sockets_.push_back(one);
            }
            const auto heard = std::make_shared<amqp::frame_parser>(amqp::role::server, 1U << 20);
            boost::asio::co_spawn(context_, pump(near, far, heard), boost::asio::detached);
            boost::asio::co_spawn(context_, pump(far, near, nullptr), boost::asio::detached);
        }
    }
    void look(amqp::frame_parser& in, std::string_view octets) {
        for (auto next = in.next(octets); next && *next; next = in.next(octets)) {
            amqp::method what;
            if ((*next)->type != amqp::frame_type::method || !amqp::decode_method((*next)->payload, what)) continue;
            const std::lock_guard lock(mutex_);
            if (const auto* const begun = std::get_if<amqp::basic_consume>(&what))
                consumer_tags_.push_back(begun->queue + " " + begun->consumer_tag);
        }
    }
    boost::asio::awaitable<void> pump(socket_ptr from, socket_ptr to, std::shared_ptr<amqp::frame_parser> heard) {
        std::vector<char> octets(65'536);
        try {
            for (;;) {
                auto size = co_await from->async_read_some(boost::asio::buffer(octets), boost::asio::use_awaitable);
                if (heard) look(*heard, {octets.data(), size});
                auto part = boost::asio::buffer(octets.data(), size);
                co_await boost::asio::async_write(*to, part, boost::asio::use_awaitable);
            }
        } catch (const boost::system::system_error&) {
            from->close();
            to->close();
        }
    }

    const amqp::url to_;
    boost::asio::io_context context_;
    tcp::acceptor acceptor_;
    std::vector<std::weak_ptr<tcp::socket>> sockets_;
    std::mutex mutex_;
    std::vector<std::string> consumer_tags_;
    std::thread thread_;
};

}  // namespace foz::service
