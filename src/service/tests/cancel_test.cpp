// Requests that their callers cancel.
#include "fixture.hpp"

#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <vector>

namespace foz::service {
namespace {

void cancel(peer& p, const std::string& channel, const std::string& message_id) {
    amqp::publication said;
    said.exchange = contract::control_exchange;
    said.routing_key = contract::control_key(channel);
    said.mandatory = false;
    said.properties.type = contract::type_cancel;
    said.properties.correlation_id = message_id;
    said.body = "null";
    p.publish(std::move(said));
}

// Again and again, until it was heard: who says it does not wait for workers that have just begun to listen.
template <class Condition>
void cancel_until(peer& p, const std::string& channel, const std::string& message_id, Condition heard) {
    wait_until([&] {
        if (!heard()) cancel(p, channel, message_id);
        return heard();
    });
}

}  // namespace

TEST(cancel, a_handler_is_told_while_it_runs_and_its_parts_are_not_said_any_more) {
    const channels names;
    worker w(options(names));
    std::atomic<bool> runs = false, told = false, over = false;
    w.on(names.a(), "", [&](request& r) {
        if (r.message() != "1") return r.reply("2");
        EXPECT_FALSE(r.cancelled());
        r.part("1");
        runs = true;
        while (!r.cancelled() && !over) std::this_thread::sleep_for(1ms);
        told = r.cancelled();
        r.part("2");
    });
    peer p(names);
    const running r(w);
    p.send(names.a(), "x", "1", "m1");
    wait_until([&] { return runs.load(); });
    cancel_until(p, names.a(), "m1", [&] { return told.load(); });
    over = true;
    p.send(names.a(), "x", "2", "m2");
    const auto heard = p.hear(2);
    EXPECT_TRUE(told);
    EXPECT_EQ(heard[0].body, "1");
    EXPECT_EQ(heard[1].properties.correlation_id, "c-m2");
}

TEST(cancel, what_has_not_begun_does_not_begin_but_what_nobody_waits_for_does) {
    channels names;
    names.all[0].order = contract::order_kind::client;
    auto how = options(names);
    how.concurrency = 2;  // on a channel that keeps the client's order: what comes next is here already, and waits
    worker w(how);
    std::promise<void> go;
    auto may_go = go.get_future().share();
    std::mutex mutex;
    std::vector<std::string> ran;
    w.on(names.a(), "", [&](request& r) {
        {
            const std::lock_guard lock(mutex);
            ran.emplace_back(r.message());
        }
        if (r.message() == "1") may_go.wait();
        r.reply("null");
    });
    peer p(names);
    running r(w);
    p.send(names.a(), "x", "1", "m1");
    p.send(names.a(), "x", "2", "m2");  // is here, behind the first one
    auto plain = p.request_from("ann", names.a(), "x", "3", "m3");
    plain.properties.reply_to.reset();
    p.publish(plain);
    wait_until([&] {
        const std::lock_guard lock(mutex);
        return !ran.empty();
    });
    cancel_until(p, names.a(), "m2", [&] { return w.counters().cancelled == 1; });
    for (const char* id : {"m3", "m4"}) cancel(p, names.a(), id);
    p.send(names.a(), "x", "4", "m4");  // was not here yet
    p.send(names.a(), "x", "5", "m5");
    go.set_value();
    p.hear(2);
    wait_until([&] { return w.counters().handled == 3 && w.counters().cancelled == 2; });
    r.stop();
    EXPECT_EQ(ran, (std::vector<std::string>{"1", "3", "5"}));
    EXPECT_EQ(w.counters().cancelled, 2u);
}

TEST(cancel, what_failed_is_not_tried_again) {
    const channels names;
    auto how = options(names);
    how.retry_pause_min = 30s;
    how.retry_pause_max = 30s;
    worker w(how);
    std::atomic<int> runs = 0;
    w.on(names.a(), "", [&](request&) {
        ++runs;
        throw std::runtime_error("not yet");
    });
    peer p(names);
    running r(w);
    p.send(names.a(), "x", "1", "m1");
    wait_until([&] { return w.counters().held == 1; });
    cancel_until(p, names.a(), "m1", [&] { return w.counters().cancelled == 1; });
    EXPECT_EQ(w.counters().held, 0u);
    r.stop();
    EXPECT_EQ(runs, 1);
    EXPECT_EQ(w.counters().requeued, 0u);
}

TEST(cancel, what_nobody_has_begun_in_time_is_passed_over) {
    const channels names;
    worker w(options(names));
    std::vector<std::string> ran;
    w.on(names.a(), "", [&](request& r) {
        ran.emplace_back(r.message());
        r.reply("1");
    });
    peer p(names);
    running r(w);
    const auto ask = [&](const std::string& body, std::chrono::seconds left, bool awaited) {
        auto asked = p.request_from("ann", names.a(), "x", body, "m" + body);
        asked.properties.headers->set(contract::header_deadline,
                                      std::int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(
                                                       (std::chrono::system_clock::now() + left).time_since_epoch())
                                                       .count()});
        if (!awaited) asked.properties.reply_to.reset();
        p.publish(asked);
    };
    ask("1", -60s, true);
    ask("2", -60s, false);
    ask("3", -1s, true);  // our clock may be the one that is wrong
    ask("4", 60s, true);
    p.hear(2);
    r.stop();
    EXPECT_EQ(ran, (std::vector<std::string>{"2", "3", "4"}));
    EXPECT_EQ(w.counters().cancelled, 1u);
}

}  // namespace foz::service
