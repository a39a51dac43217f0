// Connections and channels that fail again and again, with a broker that is played.
#include "amqp/conn/tests/played_broker.hpp"

#include <algorithm>

#include <gmock/gmock.h>

namespace foz::amqp {
namespace {

asio::awaitable<result<void>> consume_from(channel& self, std::string queue) {
    basic_consume method;
    method.queue = queue;
    method.consumer_tag = queue;
    auto consuming = co_await self.call(std::move(method));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return result<void>{};
}

struct consumer final : channel_handler {
    consumer(client& c, std::string q) : queue(std::move(q)), link(c.open_channel(*this)) {}
    ~consumer() { link->close(); }
    asio::awaitable<result<void>> set_up(channel& self) override { return consume_from(self, queue); }
    void on_ready(channel&) override { ++ready; }

    const std::string queue;
    int ready = 0;
    std::shared_ptr<channel> link;
};

// A broker that closes the connection whenever "sick" is consumed, and what the client tells of it.
struct ward : stage {
    ward() {
        wish.deals = [this](played_connection& from, std::uint16_t on, message& m) {
            const auto* consume = std::get_if<basic_consume>(&m.method);
            if (!consume) return false;
            tried.push_back(std::string(consume->queue));
            if (consume->queue == "sick" && !healed) {
                from.say(0, connection_close{.reply_code = 541, .reply_text = "INTERNAL_ERROR"});
            } else if (from.open()) {
                basic_consume_ok ok;
                ok.consumer_tag = consume->consumer_tag;
                from.say(on, ok);
            }
            return true;
        };
    }
    void on_channel_sick(const std::string& queue, const error& why, std::chrono::milliseconds retry_in) override {
        EXPECT_EQ(queue, "sick");
        EXPECT_EQ(why.reply_code, 541);
        pauses.push_back(retry_in);
        healed = pauses.size() == 2;
    }
    void on_channel_recovered(const std::string& queue) override {
        EXPECT_EQ(queue, "sick");
        recovered();
    }
    auto times_tried(const std::string& queue) const { return std::count(tried.begin(), tried.end(), queue); }

    std::vector<std::string> tried;
    std::vector<std::chrono::milliseconds> pauses;
    bool healed = false;
    std::function<void()> recovered;
};

}  // namespace

TEST(amqp_sick, a_channel_that_the_broker_closes_the_connection_for_comes_back_seldom_and_the_others_go_on) {
    // Wherever it stands among the others: before them they are all suspects, behind them it is alone.
    for (const std::vector<std::string>& order :
         {std::vector<std::string>{"sick", "a", "b"}, std::vector<std::string>{"a", "b", "sick"}}) {
        ward s;
        client c(s.home, {.urls = {s.to()}}, &s);
        std::vector<std::unique_ptr<consumer>> all;
        for (const auto& queue : order) all.push_back(std::make_unique<consumer>(c, queue));
        s.recovered = [&] { s.end(c); };
        c.start();
        s.run();
        ASSERT_EQ(s.pauses.size(), 2u);
        EXPECT_GE(s.pauses[0], 375ms);
        EXPECT_GE(s.pauses[1], s.pauses[0]);
        EXPECT_LE(s.times_tried("sick"), 4);
        EXPECT_EQ(c.counters().sick, 2u);
        EXPECT_LE(c.counters().connects, 4u);
        for (const auto& one : all) EXPECT_GE(one->ready, one->queue == "sick" ? 1 : 2) << one->queue;
    }
}

// It opens, and the broker ends it at once, whatever it says: by closing the channel, or by taking the consumer away.
TEST(amqp_sick, a_channel_that_does_not_last_is_tried_after_pauses_that_grow_and_named_until_it_lasts) {
    for (const bool cancels : {false, true}) {
        struct ward_of_one final : stage {
            void on_channel_sick(const std::string& queue, const error& why, std::chrono::milliseconds retry) override {
                EXPECT_EQ(queue, "q");
                EXPECT_EQ(why.code, errc::channel_closed);
                pauses.push_back(retry);
                healed = pauses.size() == 3;
            }
            void on_channel_recovered(const std::string& queue) override {
                EXPECT_EQ(queue, "q");
                recovered = true;
                end(*of);
            }
            std::vector<std::chrono::milliseconds> pauses;
            bool healed = false, recovered = false;
            client* of = nullptr;
        } s;
        int tried = 0;
        s.wish.deals = [&](played_connection& from, std::uint16_t on, message& m) {
            const auto* consume = std::get_if<basic_consume>(&m.method);
            if (!consume) return false;
            ++tried;
            if (s.healed || cancels) {
                basic_consume_ok ok;
                ok.consumer_tag = consume->consumer_tag;
                from.say(on, ok);
            }
            if (s.healed) return true;
            if (cancels)
                from.say(on, basic_cancel{.consumer_tag = "q"});
            else
                from.say(on, channel_close{.reply_code = 405, .reply_text = "RESOURCE_LOCKED"});
            return true;
        };
        client c(s.home, {.urls = {s.to()}, .good_after = 300ms}, &s);
        s.of = &c;
        consumer one(c, "q");
        c.start();
        s.run();
        EXPECT_TRUE(s.recovered);
        ASSERT_EQ(s.pauses.size(), 3u) << "the first ones were bad luck";
        EXPECT_EQ(s.pauses, (std::vector<std::chrono::milliseconds>{400ms, 800ms, 1'000ms}));
        EXPECT_EQ(tried, 7);
        EXPECT_EQ(c.counters().channel_failures, 6u);
        EXPECT_EQ(c.counters().connects, 1u) << "nobody else noticed";
    }
}

TEST(amqp_sick, a_connection_that_opens_and_dies_is_retried_with_pauses_that_grow) {
    stage s;
    struct watcher final : client_events {
        void on_disconnected(const error&, std::chrono::milliseconds retry_in) override {
            pauses.push_back(retry_in);
            if (pauses.size() == 8) then();
        }
        std::vector<std::chrono::milliseconds> pauses;
        std::function<void()> then;
    } watch;
    s.wish.on_open = [](played_connection& p) {
        p.say(0, connection_close{.reply_code = 320, .reply_text = "CONNECTION_FORCED"});
    };
    client c(s.home, {.urls = {s.to()}, .reconnect_min = 20ms}, &watch);
    watch.then = [&] { s.end(c); };
    c.start();
    s.run();
    ASSERT_EQ(watch.pauses.size(), 8u);
    EXPECT_EQ(c.counters().connects, 8u);
    for (std::size_t i = 0; i < watch.pauses.size(); ++i) EXPECT_LE(watch.pauses[i], 20ms * (1 << i)) << i;
    // Each is a random part of its maximum; that the last three of eight are below the first one's happens once in 10⁵.
    EXPECT_GT(*std::max_element(watch.pauses.begin(), watch.pauses.end()), 20ms) << "they grow";
}

TEST(amqp_sick, a_fresh_channel_that_is_silent_too_costs_the_connection) {
    stage s;
    int connections = 0;
    s.wish.on_open = [&](played_connection&) { ++connections; };
    s.wish.confirms = [&](std::uint16_t) { return connections == 2; };
    client c(s.home, {.urls = {s.to(), s.to()}}, &s);
    publisher sender(c, {.confirm_timeout = 200ms});
    std::optional<outcome> result;
    sender.publish(saying("a"), 10s, [&](outcome o) {
        result = o;
        s.end(c);
    });
    c.start();
    s.run();
    EXPECT_EQ(result, outcome::confirmed);
    EXPECT_EQ(s.published, (std::vector<std::string>{"1:a", "2:a", "1:a"}));
    EXPECT_EQ(sender.counters().reopened_late, 1u);
    EXPECT_EQ(sender.counters().moved_on, 1u);
    EXPECT_EQ(c.counters().moved_on, 1u);
    EXPECT_EQ(c.counters().connects, 2u);
}

TEST(amqp_sick, a_queue_that_is_silent_alone_does_not_cost_its_neighbours_the_connection) {
    stage s;
    // Channel 1 belongs to the neighbour; all others are the silent queue's.
    s.wish.confirms = [](std::uint16_t channel) { return channel == 1; };
    client c(s.home, {.urls = {s.to()}}, &s);
    publisher neighbour(c), sender(c, {.confirm_timeout = 200ms});
    std::function<void()> again = [&] { neighbour.publish(saying("n"), 10s, [&](outcome) { again(); }); };
    again();
    std::optional<outcome> result;
    sender.publish(saying("a"), 1'500ms, [&](outcome o) {
        result = o;
        again = [] {};
        s.end(c);
    });
    c.start();
    s.run();
    EXPECT_EQ(result, outcome::unknown);
    EXPECT_EQ(c.counters().connects, 1u);
    EXPECT_GE(sender.counters().moved_on, 1u) << "it would have liked to";
    EXPECT_EQ(c.counters().moved_on, 0u);
    EXPECT_EQ(neighbour.counters().repeated, 0u);
}

}  // namespace foz::amqp
