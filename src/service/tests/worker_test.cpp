// Against a real broker: FOZ_TEST_BROKER.
#include "service/worker.hpp"

#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "contract/topology.hpp"
#include "net/runtime.hpp"

#include <atomic>
#include <cstdlib>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace foz::service {
namespace {

using namespace std::chrono_literals;

std::string broker() {
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

    void send(const std::string& channel, const std::string& type, const std::string& body, const std::string& id) {
        amqp::publication p;
        p.exchange = contract::inbound_exchange;
        p.routing_key = channel + ".some.topic";
        p.properties.type = type;
        p.properties.message_id = id;
        p.properties.reply_to = queue_;
        p.properties.correlation_id = "c-" + id;
        p.properties.headers =
            amqp::table{{"foz-client", "ann"}, {"foz-session", "s1"}, {"traceparent", "00-ab-cd-01"}};
        p.body = body;
        std::promise<amqp::outcome> confirmed;
        home_.post([&] { publisher_.publish(std::move(p), 10s, [&](amqp::outcome o) { confirmed.set_value(o); }); });
        EXPECT_EQ(confirmed.get_future().get(), amqp::outcome::confirmed);
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

worker_options options(const channels& names, std::uint16_t concurrency = 1) {
    return {.broker_urls = {broker()}, .concurrency = concurrency, .channels = names.all};
}

template <class Condition>
void wait_until(Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(condition());
}

}  // namespace

TEST(worker, answers_with_correlation_and_derived_ids_in_the_order_of_speaking) {
    const channels names;
    worker w(options(names));
    std::string seen;
    w.on(names.a(), "ask", [&](request& r) {
        seen = std::string(r.client()) + " " + std::string(r.session()) + " " + std::string(r.topic()) + " " +
               std::string(r.message());
        r.broadcast("1", {.topic = "news.x", .type = "said"});
        r.reply("{\"ok\": true}");
        r.multicast({"g1", "g2"}, "2");
        r.direct({"ann", "session:s1"}, "3");
    });
    peer p(names);
    running r(w);
    p.send(names.a(), "ask", "[1, 2]", "ann/m1");
    const auto all = p.hear(4);
    EXPECT_EQ(seen, "ann s1 some.topic [1, 2]");
    ASSERT_EQ(all.size(), 4u);
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(all[i].properties.message_id, "ann/m1/" + std::to_string(i));
        EXPECT_EQ(all[i].properties.delivery_mode, 2);
        EXPECT_EQ(amqp::as_string(all[i].properties.headers->find("traceparent")), "00-ab-cd-01");
    }
    EXPECT_EQ(all[0].routing_key, names.a() + ".news.x");
    EXPECT_EQ(all[0].properties.type, "said");
    EXPECT_EQ(amqp::as_bool(all[0].properties.headers->find("foz-broadcast")), true);
    EXPECT_EQ(all[1].exchange, "");
    EXPECT_EQ(all[1].body, "{\"ok\": true}");
    EXPECT_EQ(all[1].properties.correlation_id, "c-ann/m1");
    EXPECT_EQ(contract::parse_receivers(all[2].properties.headers->find("foz-multicast")),
              (std::vector<std::string>{"g1", "g2"}));
    EXPECT_EQ(contract::parse_receivers(all[3].properties.headers->find("foz-direct")),
              (std::vector<std::string>{"ann", "session:s1"}));
    r.stop();
    EXPECT_EQ(w.counters().handled, 1u);
    EXPECT_EQ(w.counters().published, 4u);
}

TEST(worker, an_error_answers_the_caller_and_takes_back_what_was_said) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "", [](request& r) {
        r.broadcast("1");
        throw error("no_such_room", "there is no room \"x\"");
    });
    peer p(names);
    const running r(w);
    p.send(names.a(), "whatever", "1", "m1");
    const auto all = p.hear(1);
    EXPECT_EQ(all[0].body, R"({"code":"no_such_room","message":"there is no room \"x\""})");
    EXPECT_EQ(amqp::as_string(all[0].properties.headers->find(contract::header_error)), "no_such_room");
}

TEST(worker, a_failing_handler_sees_the_message_again_until_it_is_a_dead_letter) {
    const channels names;
    worker w(options(names));
    std::atomic<int> attempts = 0, redelivered = 0;
    w.on(names.a(), "poison", [&](request& r) {
        ++attempts;
        if (r.redelivered()) ++redelivered;
        r.broadcast("\"never heard\"");
        throw std::runtime_error("boom");
    });
    w.on(names.a(), "good", [](request& r) { r.reply("1"); });
    peer p(names);
    const running r(w);
    p.send(names.a(), "poison", "1", "m1");
    p.send(names.a(), "good", "1", "m2");
    EXPECT_EQ(p.hear(1)[0].properties.correlation_id, "c-m2");
    wait_until([&] { return attempts == 4; });  // a delivery limit of 3 allows 4 deliveries
    EXPECT_EQ(redelivered, 3);
    EXPECT_EQ(p.hear(1).size(), 1u);
}

TEST(worker, a_redelivered_message_runs_alone) {
    const channels names;
    worker w(options(names, 4));
    std::atomic<int> inside = 0, most = 0, beside_redelivered = 0, done = 0;
    w.on(names.a(), "", [&](request& r) {
        const int now = ++inside;
        if (now > most) most = now;
        std::this_thread::sleep_for(20ms);
        if (r.redelivered() && inside != 1) ++beside_redelivered;
        const bool fail = r.type() == "once" && !r.redelivered();
        --inside;
        if (fail) throw std::runtime_error("first time");
        ++done;
    });
    peer p(names);
    for (int i = 0; i < 20; ++i) p.send(names.a(), i % 5 == 0 ? "once" : "plain", "1", "m" + std::to_string(i));
    const running r(w);
    wait_until([&] { return done == 20; });
    EXPECT_GT(most, 1);
    EXPECT_EQ(beside_redelivered, 0);
}

TEST(worker, stop_finishes_what_is_in_hand_and_leaves_the_rest_in_the_queue) {
    const channels names;
    peer p(names);
    std::promise<void> inside, go;
    auto may_go = go.get_future().share();
    std::atomic<int> first_handled = 0;
    {
        worker w(options(names));
        w.on(names.a(), "", [&](request& r) {
            if (++first_handled == 1) inside.set_value();
            may_go.wait();
            r.reply("1");
        });
        running r(w);
        for (int i = 0; i < 3; ++i) p.send(names.a(), "x", "1", "m" + std::to_string(i));
        inside.get_future().wait();
        w.stop();
        std::this_thread::sleep_for(100ms);
        go.set_value();
        r.stop();
        EXPECT_EQ(w.counters().handled, static_cast<std::uint64_t>(first_handled));
    }
    const int left = 3 - first_handled;
    EXPECT_GE(left, 1);
    std::atomic<int> redelivered = 0;
    worker next(options(names));
    next.on(names.a(), "", [&](request& r) {
        if (r.redelivered()) ++redelivered;
        r.reply("2");
    });
    const running r(next);
    const auto all = p.hear(3);
    std::set<std::string> ids;
    for (const auto& h : all) ids.insert(*h.properties.correlation_id);
    EXPECT_EQ(ids.size(), 3u) << "each was answered once";
    EXPECT_EQ(redelivered, 0) << "nothing was returned by the stop";
}

TEST(worker, serves_several_channels_and_says_when_it_has_no_handler) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "x", [](request& r) { r.reply("\"a\""); });
    w.on(names.b(), "x", [](request& r) { r.reply("\"b\""); });
    EXPECT_THROW(w.on("nothing", "x", [](request&) {}), std::invalid_argument);
    peer p(names);
    const running r(w);
    p.send(names.a(), "x", "1", "m1");
    EXPECT_EQ(p.hear(1)[0].body, "\"a\"");
    p.send(names.b(), "x", "1", "m2");
    EXPECT_EQ(p.hear(2)[1].body, "\"b\"");
    p.send(names.b(), "y", "1", "m3");
    EXPECT_EQ(amqp::as_string(p.hear(3)[2].properties.headers->find(contract::header_error)), "unknown_type");
}

TEST(worker, what_is_misused_is_said) {
    const channels names;
    worker w(options(names));
    std::vector<std::string> failures;
    w.on(names.a(), "", [&](request& r) {
        try {
            r.reply("no json");
        } catch (const std::invalid_argument& e) {
            failures.emplace_back(e.what());
        }
        r.reply("1");
        try {
            r.reply("2");
        } catch (const std::logic_error& e) {
            failures.emplace_back(e.what());
        }
    });
    peer p(names);
    {
        const running r(w);
        p.send(names.a(), "x", "1", "m1");
        EXPECT_EQ(p.hear(1)[0].body, "1");
    }
    EXPECT_EQ(failures.size(), 2u);
    EXPECT_THROW(worker({.broker_urls = {"http://x"}}), std::runtime_error);
    EXPECT_THROW(worker({.broker_urls = {}}), std::runtime_error);
    worker idle({.broker_urls = {broker()}});
    EXPECT_THROW(idle.run(false), std::runtime_error);
}

}  // namespace foz::service
