#include "fixture.hpp"

#include <atomic>
#include <future>
#include <set>
#include <utility>

namespace foz::service {

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

TEST(worker, an_error_code_that_can_not_be_passed_on_answers_the_caller_all_the_same) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "long", [](request&) {
        std::string code = "x";  // so that the 255th octet is inside a character
        for (int i = 0; i < 100'000; ++i) code += "\xc3\xa4";
        throw error(code, "long");
    });
    w.on(names.a(), "octets", [](request&) { throw error("caf\xe9", "no \xff text"); });
    peer p(names);
    const running r(w);
    p.send(names.a(), "long", "1", "m1");
    p.send(names.a(), "octets", "1", "m2");
    const auto all = p.hear(2);
    ASSERT_EQ(all.size(), 2u);
    std::string kept = "x";
    for (int i = 0; i < 127; ++i) kept += "\xc3\xa4";
    EXPECT_EQ(amqp::as_string(all[0].properties.headers->find(contract::header_error)), kept);
    EXPECT_EQ(all[0].properties.correlation_id, "c-m1");
    EXPECT_EQ(amqp::as_string(all[1].properties.headers->find(contract::header_error)), "?");
    EXPECT_EQ(all[1].body, R"({"code":"?","message":"?"})");
}

TEST(worker, holds_one_message_unless_told_otherwise_and_leaves_the_rest_to_others) {
    const channels names;
    const worker_options usual{.broker_urls = {broker()}, .channels = names.all};
    worker first(usual), second(usual);
    std::promise<void> go_on;
    std::atomic<bool> busy = false;
    first.on(names.a(), "", [&](request& r) {
        busy = true;
        go_on.get_future().wait();
        r.reply("\"first\"");
    });
    second.on(names.a(), "", [](request& r) { r.reply("\"second\""); });
    peer p(names);
    const running one(first);
    p.send(names.a(), "", "1", "m1");
    wait_until([&] { return busy.load(); });
    {
        const running other(second);
        for (const char* id : {"m2", "m3", "m4", "m5"}) p.send(names.a(), "", "1", id);
        EXPECT_EQ(p.hear(4).size(), 4u);  // none of them waits behind m1
    }
    go_on.set_value();
    const auto all = p.hear(5);
    ASSERT_EQ(all.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(all[i].body, i < 4 ? "\"second\"" : "\"first\"");
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

// How it came to be returned is not known here.
TEST(worker, a_redelivered_message_runs_alone) {
    const channels names;
    peer p(names);
    for (int i = 0; i < 4; ++i) p.send(names.a(), "once", "1", "o" + std::to_string(i));
    {
        worker w(options(names, 4));
        std::atomic<int> failed = 0;
        w.on(names.a(), "", [&](request&) {
            ++failed;
            throw std::runtime_error("first time");
        });
        const running r(w);
        wait_until([&] { return failed >= 4; });
    }
    worker w(options(names, 4));
    std::atomic<int> inside = 0, most = 0, beside_redelivered = 0, done = 0;
    w.on(names.a(), "", [&](request& r) {
        const int now = ++inside;
        if (now > most) most = now;
        // Long enough for others to begin beside it, if they were let.
        std::this_thread::sleep_for(20ms);
        if (r.redelivered() && inside != 1) ++beside_redelivered;
        --inside;
        ++done;
    });
    for (int i = 0; i < 16; ++i) p.send(names.a(), "plain", "1", "m" + std::to_string(i));
    const running r(w);
    wait_until([&] { return done == 20; });
    EXPECT_GT(most, 1);
    EXPECT_EQ(beside_redelivered, 0);
}

// Something that handlers need is away for a while: what needs it is held, what does not need it goes on.
TEST(worker, a_dependency_that_is_away_makes_no_dead_letters_and_holds_nobody_up) {
    channels names;
    names.all[0].delivery_limit = contract::channel_settings{}.delivery_limit;
    constexpr int needy = 100, others = 20;
    worker w(options(names));
    std::atomic<bool> away = true;
    std::atomic<int> tried = 0, handled = 0, fine = 0;
    w.on(names.a(), "needy", [&](request& r) {
        ++tried;
        if (away) throw std::runtime_error("the dependency is away");
        ++handled;
        r.reply("1");
    });
    w.on(names.a(), "fine", [&](request& r) {
        ++fine;
        r.reply("2");
    });
    peer p(names);
    const running r(w);
    for (int i = 0; i < 16; ++i) p.send(names.a(), "needy", "1", "n" + std::to_string(i));
    wait_until([&] { return tried >= 16; });
    for (int i = 0; i < others; ++i) p.send(names.a(), "fine", "1", "f" + std::to_string(i));
    wait_until([&] { return fine == others; });  // with a concurrency of one
    EXPECT_GT(w.counters().held, 0u);
    for (int i = 16; i < needy; ++i) p.send(names.a(), "needy", "1", "n" + std::to_string(i));
    // At the pace of old, without a pause, twenty attempts of each would be over by now.
    const auto begin = std::chrono::steady_clock::now();
    wait_until([&] { return std::chrono::steady_clock::now() - begin > 2s; });
    EXPECT_EQ(handled, 0);
    away = false;
    wait_until([&] { return handled == needy; });
    EXPECT_EQ(p.hear(needy + others).size(), static_cast<std::size_t>(needy + others)) << "every caller has an answer";
    wait_until([&] { return w.counters().held == 0; });
}

// Consumers come and go here, while what they have delivered is still held. RabbitMQ before 3.12.5 may keep to itself
// what it gives to a consumer whose tag it has seen before (rabbitmq-server #9158): each has a tag of its own.
TEST(worker, what_failed_comes_again_and_no_consumer_tag_is_used_twice) {
    channels names;
    names.all[0].delivery_limit = contract::channel_settings{}.delivery_limit;
    constexpr int messages = 100;
    relay between;
    worker_options often = options(names);
    often.broker_urls = {between.url()};
    often.concurrency = 2;
    often.retry_pause_min = 10ms;
    often.retry_pause_max = 160ms;
    worker w(often);
    std::atomic<int> handled = 0;
    w.on(names.a(), "", [&](request& r) {
        if (r.attempt() <= std::stoul(std::string(r.message())) % 6) throw std::runtime_error("not yet");
        ++handled;
        r.reply("1");
    });
    peer p(names);
    const running one(w);
    for (int i = 0; i < messages; ++i) {
        p.send(names.a(), "", std::to_string(i), "m" + std::to_string(i));
        std::this_thread::sleep_for(i % 25 == 0 ? 250ms : 5ms);
    }
    wait_until([&] { return handled == messages; });
    std::vector<std::string> tags = between.consumer_tags();
    EXPECT_GT(tags.size(), 10U) << "too few to show anything";
    std::ranges::sort(tags);
    EXPECT_EQ(std::ranges::adjacent_find(tags), tags.end());
}

TEST(worker, stop_finishes_what_is_in_hand_and_leaves_the_rest_in_the_queue) {
    const channels names;
    peer p(names);
    std::promise<void> inside, go, stopping;
    auto may_go = go.get_future().share();
    std::atomic<int> first_handled = 0;
    {
        worker w(options(names));
        w.on(names.a(), "", [&](request& r) {
            if (++first_handled == 1) inside.set_value();
            may_go.wait();
            r.reply("1");
        });
        w.on_notice([&](const std::string& text) {
            if (text.starts_with("stopping")) stopping.set_value();
        });
        running r(w);
        for (int i = 0; i < 3; ++i) p.send(names.a(), "x", "1", "m" + std::to_string(i));
        inside.get_future().wait();
        w.stop();
        // A broker may return what it was about to deliver to a consumer that is cancelled at this moment.
        stopping.get_future().wait();
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
