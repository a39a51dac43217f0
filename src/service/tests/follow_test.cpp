// Workers that read what services say.
#include "fixture.hpp"

#include <chrono>

namespace foz::service {
namespace {

// What a follower has heard, and when the worker was ready.
struct ears {
    follower follow() {
        return [this](const said& s) {
            const std::lock_guard lock(mutex);
            all.push_back(std::string(s.topic) + " " + std::string(s.type) + " " + std::string(s.message));
        };
    }
    std::vector<std::string> heard() {
        const std::lock_guard lock(mutex);
        return all;
    }
    std::mutex mutex;
    std::vector<std::string> all;
};

void say(request& r) {
    r.broadcast(r.message(), {.topic = "news", .type = "said"});
    r.reply("\"ok\"");
}

std::vector<std::string> news(int from, int to) {
    std::vector<std::string> all;
    for (int n = from; n <= to; ++n) all.push_back("news said " + std::to_string(n));
    return all;
}

std::chrono::system_clock::time_point an_hour_ago() {
    return std::chrono::system_clock::now() - 1h;
}

}  // namespace

TEST(follow, what_was_there_is_heard_before_work_begins_and_then_what_is_new) {
    const channels names;
    peer p(names);
    for (int start = 0; start < 3; ++start) {
        ears e;
        worker w(options(names));
        std::vector<std::string> at_ready;
        w.follow(names.a(), an_hour_ago(), e.follow());
        w.on(names.a(), "", [&](request& r) {
            if (at_ready.empty()) at_ready = e.heard();
            say(r);
        });
        const running r(w);
        EXPECT_EQ(e.heard(), news(1, 2 * start));
        for (int n = 2 * start + 1; n <= 2 * start + 2; ++n)
            p.send(names.a(), "x", std::to_string(n), "m" + std::to_string(n));
        wait_until([&] { return e.heard() == news(1, 2 * start + 2); });
    }
}

TEST(follow, only_what_is_said_to_clients_is_heard_each_once) {
    const channels names;
    peer p(names);
    ears e;
    worker w(options(names));
    w.follow(names.a(), an_hour_ago(), e.follow());
    const running r(w);  // a worker may follow alone
    const auto publish = [&](const char* type, const char* id, const char* header, const char* body) {
        amqp::publication message;
        message.exchange = contract::outbound_exchange;
        message.routing_key = names.a();
        message.properties.type = type;
        message.properties.message_id = id;
        message.properties.headers = amqp::table{{header, "[\"x\"]"}};
        message.body = body;
        p.publish(std::move(message));
    };
    publish("x", "1", "foz-direct", "1");
    publish("x", "1", "foz-direct", "1");
    publish("foz.x", "2", "foz-direct", "2");
    publish("x", "3", "some-other", "3");
    publish("x", "4", "foz-multicast", "4");
    wait_until([&] { return e.heard().size() >= 2; });
    EXPECT_EQ(e.heard(), (std::vector<std::string>{" x 1", " x 4"}));
}

TEST(follow, goes_on_where_it_was_after_a_lost_connection) {
    const channels names;
    peer p(names);
    relay between;
    ears e;
    worker_options all = options(names);
    all.broker_urls = {between.url()};
    worker following(all);
    following.follow(names.a(), std::chrono::system_clock::now(), e.follow());
    const running f(following);
    worker saying(options(names));
    saying.on(names.a(), "", say);
    const running s(saying);
    int n = 0;
    for (int cuts = 0; cuts < 3; ++cuts) {
        for (int i = 0; i < 5; ++i, ++n) {
            if (i == 3) between.cut();
            p.send(names.a(), "x", std::to_string(n + 1), "m" + std::to_string(n + 1));
        }
        wait_until([&] { return e.heard().size() == static_cast<std::size_t>(n); });
    }
    EXPECT_EQ(e.heard(), news(1, n));
}

TEST(follow, more_than_a_prefetch_is_heard_in_order_though_followers_fail) {
    const channels names;
    peer p(names);
    worker saying(options(names));
    constexpr int count = 700;
    saying.on(names.a(), "", [](request& r) {
        for (int i = 1; i <= count; ++i) r.broadcast(std::to_string(i), {.topic = "news", .type = "said"});
    });
    running s(saying);
    p.send(names.a(), "x", "1", "m1");
    p.hear(count);
    s.stop();
    ears e;
    worker w(options(names));
    w.follow(names.a(), an_hour_ago(), [hear = e.follow()](const said& one) {
        hear(one);
        throw std::runtime_error("it does not matter");
    });
    std::atomic<int> notices = 0;
    w.on_notice([&](const std::string& text) { notices += text.find("it does not matter") != std::string::npos; });
    const running r(w);
    EXPECT_EQ(e.heard(), news(1, count));
    EXPECT_EQ(notices, count);
}

TEST(follow, a_volatile_channel_has_nothing_to_follow) {
    channels names;
    names.all[1].delivery = contract::delivery_kind::volatile_;
    worker w(options(names));
    EXPECT_THROW(w.follow(names.b(), an_hour_ago(), {}), std::invalid_argument);
    EXPECT_THROW(w.follow("nothing", an_hour_ago(), {}), std::invalid_argument);
}

TEST(declare, a_worker_that_may_not_declare_waits_until_someone_did) {
    const channels names;
    worker_options all = options(names);
    all.declare = false;
    worker w(all);
    w.on(names.a(), "", [](request& r) { r.reply("1"); });
    std::promise<std::string> missing;
    w.on_notice([&, told = false](const std::string& text) mutable {
        if (text.find("NOT_FOUND") != std::string::npos && !std::exchange(told, true)) missing.set_value(text);
    });
    std::thread thread([&] { w.run(false); });
    EXPECT_NE(missing.get_future().get().find(names.all[0].in_queue()), std::string::npos);
    peer p(names);  // which declares
    p.send(names.a(), "x", "1", "m1");
    EXPECT_EQ(p.hear(1)[0].body, "1");
    w.stop();
    thread.join();
}

}  // namespace foz::service
