// Against a real broker: FOZ_TEST_BROKER names one (amqp://…), a virtual host of its own.
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "net/listener.hpp"
#include "net/runtime.hpp"

#include <cstdlib>
#include <map>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

using namespace std::chrono_literals;

url broker() {
    const char* text = std::getenv("FOZ_TEST_BROKER");
    if (!text) throw std::runtime_error("FOZ_TEST_BROKER is not set: run this test through ctest");
    auto parsed = parse_url(text);
    if (!parsed) throw std::runtime_error(parsed.error().text);
    return *parsed;
}

// One core, one client, and a time after which the test has failed.
struct fixture {
    fixture() { limit.start(cores.at(0).wheel(), 20s); }

    void run() {
        cores.run();
        EXPECT_FALSE(timed_out);
    }
    void spawn(asio::awaitable<void> work) { asio::co_spawn(home.context(), std::move(work), asio::detached); }

    net::runtime cores{1};
    net::shard& home = cores.at(0);
    bool timed_out = false;
    net::wheel_timer limit{this, [](fixture& self) {
                               self.timed_out = true;
                               self.cores.stop();
                           }};
};

asio::awaitable<void> stop(client& c, net::runtime& cores) {
    co_await c.stop();
    cores.stop();
}

// g++ 12 can't build initializer lists within a coroutine's co_await: tables come from functions.
table quorum() {
    return {{"x-queue-type", "quorum"}};
}
table full_after_one() {
    return {{"x-max-length", 1}, {"x-overflow", "reject-publish"}};
}
table max_length(int n) {
    return {{"x-max-length", n}};
}

asio::awaitable<result<void>> declare_queue(channel& on, std::string name, table arguments, bool durable = true) {
    queue_declare declare;
    declare.queue = std::move(name);
    declare.durable = durable;
    declare.auto_delete = false;
    declare.arguments = std::move(arguments);
    auto declared = co_await on.call(std::move(declare));
    if (!declared) co_return std::unexpected(declared.error());
    co_return result<void>{};
}

asio::awaitable<result<void>> consume(channel& on, std::string queue, std::uint16_t prefetch) {
    basic_qos qos;
    qos.prefetch_count = prefetch;
    auto limited = co_await on.call(std::move(qos));
    if (!limited) co_return std::unexpected(limited.error());
    basic_consume start;
    start.queue = std::move(queue);
    auto started = co_await on.call(std::move(start));
    if (!started) co_return std::unexpected(started.error());
    co_return result<void>{};
}

publication to_queue(std::string queue, std::string body) {
    publication p;
    p.routing_key = std::move(queue);
    p.properties.delivery_mode = 2;
    p.properties.message_id = body.substr(0, 40);
    p.body = std::move(body);
    return p;
}

// Declares a queue, consumes from it, acknowledges and counts.
struct consumer final : channel_handler {
    consumer(std::string q, std::function<void(channel&, const delivery&)> f)
        : queue(std::move(q)), on_message(std::move(f)) {}

    asio::awaitable<result<void>> set_up(channel& self) override {
        auto declared = co_await declare_queue(self, queue, quorum());
        if (!declared) co_return declared;
        auto consuming = co_await consume(self, queue, 10);
        co_return consuming;
    }
    void on_ready(channel&) override { ++ready; }
    void on_lost(channel&, const error& why) override {
        ++lost;
        last_error = why;
    }
    void on_delivery(channel& self, const delivery& d) override { on_message(self, d); }

    std::string queue;
    std::function<void(channel&, const delivery&)> on_message;
    int ready = 0, lost = 0;
    error last_error;
};

}  // namespace

TEST(amqp_conn, publishes_are_confirmed_and_delivered_in_order) {
    fixture f;
    client c(f.home, {.urls = {broker()}, .connection_name = "conn_test"});
    std::vector<std::string> got;
    int confirmed = 0;
    constexpr int count = 2000;
    const std::string queue = "order-" + system_random().token();
    // Which of the two comes last is the broker's affair.
    const auto stop_when_done = [&] {
        if (got.size() == count && confirmed == count) f.spawn(stop(c, f.cores));
    };
    consumer receiver(queue, [&](channel& on, const delivery& d) {
        on.ack(d.id);
        if (d.body == "first") return;
        got.emplace_back(d.body);
        stop_when_done();
    });
    const auto link = c.open_channel(receiver);
    publisher sender(c);
    sender.set_recipe([&](channel& on) { return declare_queue(on, queue, {{"x-queue-type", "quorum"}}); });
    // RabbitMQ refuses what reaches a quorum queue before it has a leader.
    std::uint64_t repeated = 0;
    sender.publish(to_queue(queue, "first"), 15s, [&](outcome first) {
        EXPECT_EQ(first, outcome::confirmed);
        repeated = sender.counters().repeated;
        for (int i = 0; i < count; ++i)
            sender.publish(to_queue(queue, std::to_string(i)), 15s, [&](outcome o) {
                confirmed += o == outcome::confirmed;
                stop_when_done();
            });
    });
    c.start();
    f.run();
    ASSERT_EQ(got.size(), static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) ASSERT_EQ(got[i], std::to_string(i));
    EXPECT_EQ(confirmed, count);
    EXPECT_EQ(sender.counters().repeated, repeated);
}

TEST(amqp_conn, bodies_larger_than_a_frame_round_trip_with_all_properties) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "large-" + system_random().token();
    std::string body(1'000'000, 'x');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7);
    publication p = to_queue(queue, body);
    p.properties.headers = table{{"a", 1}, {"b", table{{"c", "d"}}}, {"list", field_array{1, "two", true}}};
    p.properties.type = "test";
    p.properties.expiration = "60000";
    p.properties.message_id = "id-1";
    bool same = false;
    consumer receiver(queue, [&](channel& on, const delivery& d) {
        same = d.body == body && d.properties.type == "test" && d.properties.message_id == "id-1" &&
               d.properties.headers == p.properties.headers;
        on.ack(d.id);
        f.spawn(stop(c, f.cores));
    });
    const auto link = c.open_channel(receiver);
    publisher sender(c);
    sender.set_recipe([&](channel& on) { return declare_queue(on, queue, {{"x-queue-type", "quorum"}}); });
    sender.publish(p, 15s, [](outcome) {});
    c.start();
    f.run();
    EXPECT_TRUE(same);
}

TEST(amqp_conn, a_mandatory_message_without_a_queue_is_unroutable_and_its_neighbours_are_not) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "mandatory-" + system_random().token();
    publisher sender(c);
    sender.set_recipe([&](channel& on) { return declare_queue(on, queue, {}); });
    std::map<int, outcome> outcomes;
    for (int i = 0; i < 30; ++i)
        sender.publish(to_queue(i % 3 == 1 ? "nobody-" + queue : queue, std::to_string(i)), 15s, [&, i](outcome o) {
            outcomes[i] = o;
            if (outcomes.size() == 30) f.spawn(stop(c, f.cores));
        });
    c.start();
    f.run();
    for (const auto& [i, o] : outcomes) EXPECT_EQ(o, i % 3 == 1 ? outcome::unroutable : outcome::confirmed) << i;
}

TEST(amqp_conn, a_full_queue_that_rejects_publishes_says_so) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "full-" + system_random().token();
    publisher sender(c, {.refusal_patience = 200ms});
    sender.set_recipe(
        [&](channel& on) { return declare_queue(on, queue, {{"x-max-length", 1}, {"x-overflow", "reject-publish"}}); });
    std::vector<outcome> outcomes;
    for (int i = 0; i < 2; ++i)
        sender.publish(to_queue(queue, std::to_string(i)), 15s, [&](outcome o) {
            outcomes.push_back(o);
            if (outcomes.size() == 2) f.spawn(stop(c, f.cores));
        });
    c.start();
    f.run();
    EXPECT_EQ(outcomes, (std::vector{outcome::confirmed, outcome::rejected}));
    // Again and again until the patience was over, with pauses: at 0, 0, 20, 60, 140 and 300 ms.
    EXPECT_GE(sender.counters().refused, 3u);
    EXPECT_LE(sender.counters().refused, 6u);
}

namespace {

asio::awaitable<result<void>> declare_full_and_drain(channel& on, std::string queue, bool drain) {
    auto declared = co_await declare_queue(on, queue, full_after_one());
    if (!declared || !drain) co_return declared;
    queue_purge purge;
    purge.queue = queue;
    auto purged = co_await on.call(std::move(purge));
    if (!purged) co_return std::unexpected(purged.error());
    co_return result<void>{};
}

}  // namespace

TEST(amqp_conn, a_negative_confirm_reopens_the_channel_and_the_message_is_repeated) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "refused-" + system_random().token();
    publisher sender(c);
    int openings = 0;
    sender.set_recipe([&](channel& on) { return declare_full_and_drain(on, queue, openings++ > 0); });
    std::vector<outcome> outcomes;
    for (int i = 0; i < 2; ++i)
        sender.publish(to_queue(queue, std::to_string(i)), 15s, [&](outcome o) {
            outcomes.push_back(o);
            if (outcomes.size() == 2) f.spawn(stop(c, f.cores));
        });
    c.start();
    f.run();
    EXPECT_EQ(outcomes, (std::vector{outcome::confirmed, outcome::confirmed}));
    EXPECT_EQ(openings, 2);
    EXPECT_EQ(sender.counters().refused, 1u);
    EXPECT_EQ(sender.counters().reopened, 1u);
    EXPECT_EQ(sender.counters().repeated, 1u);
    EXPECT_EQ(c.counters().connects, 1u);
}

TEST(amqp_conn, a_conflicting_declaration_is_reported_in_words_and_retried) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "conflict-" + system_random().token();
    struct conflicting final : channel_handler {
        asio::awaitable<result<void>> set_up(channel& self) override {
            auto first = co_await declare_queue(self, queue, max_length(1));
            if (!first) co_return first;
            auto second = co_await declare_queue(self, queue, max_length(2));
            co_return second;
        }
        void on_lost(channel&, const error& why) override {
            errors.push_back(why);
            if (errors.size() == 2) done();
        }
        std::string queue;
        std::vector<error> errors;
        std::function<void()> done;
    } handler;
    handler.queue = queue;
    handler.done = [&] { f.spawn(stop(c, f.cores)); };
    const auto link = c.open_channel(handler);
    c.start();
    f.run();
    ASSERT_GE(handler.errors.size(), 2u);
    EXPECT_EQ(handler.errors[0].reply_code, 406);
    EXPECT_TRUE(handler.errors[0].permanent());
    EXPECT_NE(handler.errors[0].text.find("x-max-length"), std::string::npos) << handler.errors[0].text;
    EXPECT_NE(handler.errors[0].text.find(queue), std::string::npos);
}

TEST(amqp_conn, reopening_redelivers_and_a_late_acknowledgement_hits_nothing) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "reopen-" + system_random().token();
    std::vector<std::string> got;
    delivery_id stale;
    consumer receiver(queue, [&](channel& on, const delivery& d) {
        got.emplace_back(std::string(d.body) + (d.redelivered ? " again" : ""));
        if (got.size() == 1) {
            stale = d.id;
            return on.reopen({errc::channel_closed, 0, "test"});
        }
        if (got.size() == 2) {
            on.ack(stale);  // void: would close the channel with 406, or hit the wrong message
            on.ack(d.id);
            f.spawn(stop(c, f.cores));
        }
    });
    const auto link = c.open_channel(receiver);
    publisher sender(c);
    sender.set_recipe([&](channel& on) { return declare_queue(on, queue, {{"x-queue-type", "quorum"}}); });
    sender.publish(to_queue(queue, "one"), 15s, [](outcome) {});
    c.start();
    f.run();
    EXPECT_EQ(got, (std::vector<std::string>{"one", "one again"}));
    EXPECT_EQ(receiver.lost, 1 + 1);  // the reopening and the stop
}

TEST(amqp_conn, a_deleted_queue_cancels_the_consumer_and_the_channel_is_set_up_again) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "cancel-" + system_random().token();
    consumer receiver(queue, [&](channel& on, const delivery& d) {
        on.ack(d.id);
        f.spawn(stop(c, f.cores));
    });
    const auto link = c.open_channel(receiver);
    struct deleter final : channel_handler {
        asio::awaitable<result<void>> set_up(channel& self) override {
            auto declared = co_await declare_queue(self, queue, quorum());
            if (!declared) co_return declared;
            if (!std::exchange(deleted, true)) {
                queue_delete remove;
                remove.queue = queue;
                auto removed = co_await self.call(std::move(remove));
                if (!removed) co_return std::unexpected(removed.error());
            }
            co_return result<void>{};
        }
        std::string queue;
        bool deleted = false;
    } handler;
    handler.queue = queue;
    std::shared_ptr<channel> other;
    publisher sender(c);
    asio::steady_timer timer(f.home.context(), 1s);
    timer.async_wait([&](net::error_code) { other = c.open_channel(handler); });
    asio::steady_timer later(f.home.context(), 2s);
    later.async_wait([&](net::error_code) { sender.publish(to_queue(queue, "x"), 15s, [](outcome) {}); });
    c.start();
    f.run();
    EXPECT_EQ(receiver.ready, 2);
}

TEST(amqp_conn, without_a_broker_a_publish_is_unavailable_after_its_deadline) {
    fixture f;
    url nowhere = broker();
    nowhere.port = 1;  // nobody listens there
    client c(f.home, {.urls = {nowhere}, .reconnect_min = 10ms});
    publisher sender(c);
    outcome result = outcome::confirmed;
    sender.publish(to_queue("x", "x"), 300ms, [&](outcome o) {
        result = o;
        f.spawn(stop(c, f.cores));
    });
    c.start();
    f.run();
    EXPECT_EQ(result, outcome::unavailable);
    EXPECT_GE(c.counters().connect_failures, 1u);
}

TEST(amqp_conn, a_wrong_password_is_an_error_in_words_and_the_next_url_is_tried) {
    fixture f;
    url wrong = broker();
    wrong.password = "wrong";
    struct events final : client_events {
        void on_connected(const std::string&) override { done(); }
        void on_disconnected(const error& why, std::chrono::milliseconds) override { errors.push_back(why); }
        std::vector<error> errors;
        std::function<void()> done;
    } seen;
    client c(f.home, {.urls = {wrong, broker()}, .reconnect_min = 10ms}, &seen);
    seen.done = [&] {
        if (!seen.errors.empty()) return f.spawn(stop(c, f.cores));
        // Began with the right one: break it and go on to the wrong one.
        f.spawn(stop(c, f.cores));
    };
    c.start();
    f.run();
    for (const auto& e : seen.errors) {
        EXPECT_EQ(e.reply_code, 403) << e.text;
        EXPECT_EQ(e.text.find("wrong"), std::string::npos) << "the password is in: " << e.text;
    }
    EXPECT_EQ(c.counters().connects, 1u);
}

TEST(amqp_conn, what_can_not_be_encoded_is_invalid_and_harms_nothing) {
    fixture f;
    client c(f.home, {.urls = {broker()}});
    const std::string queue = "invalid-" + system_random().token();
    publisher sender(c);
    sender.set_recipe([&](channel& on) { return declare_queue(on, queue, {}); });
    std::vector<outcome> outcomes;
    const auto note = [&](outcome o) {
        outcomes.push_back(o);
        if (outcomes.size() == 3) f.spawn(stop(c, f.cores));
    };
    sender.publish(to_queue(queue, "1"), 15s, note);
    sender.publish(to_queue(std::string(300, 'k'), "2"), 15s, note);
    sender.publish(to_queue(queue, "3"), 15s, note);
    c.start();
    f.run();
    std::multiset<outcome> all(outcomes.begin(), outcomes.end());
    EXPECT_EQ(all.count(outcome::invalid), 1u);
    EXPECT_EQ(all.count(outcome::confirmed), 2u);
}

TEST(amqp_conn, a_silent_broker_is_given_up_and_stop_always_ends) {
    fixture f;
    std::vector<net::tcp::socket> silent;
    auto accepting = net::listener::open(f.home, {}, [&](net::tcp::socket s) { silent.push_back(std::move(s)); });
    ASSERT_TRUE(accepting);
    url to;
    to.host = "127.0.0.1";
    to.port = (*accepting)->port();
    struct events final : client_events {
        void on_disconnected(const error& why, std::chrono::milliseconds) override {
            text = why.text;
            done();
        }
        std::string text;
        std::function<void()> done;
    } seen;
    client c(f.home, {.urls = {to}, .connect_timeout = 1s}, &seen);
    seen.done = [&] { f.spawn(stop(c, f.cores)); };
    c.start();
    f.run();
    EXPECT_NE(seen.text.find("no answer in time"), std::string::npos) << seen.text;
    silent.clear();
}

}  // namespace foz::amqp
