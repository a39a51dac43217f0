// What one turn of a shard's loop takes, and in which order.
#include "net/runtime.hpp"
#include "net/tests/memory_stream.hpp"

#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace foz::net {
namespace {

using namespace std::chrono_literals;

// Time that passes with each look at it, so that "too long" does not depend on the machine.
struct creeping_clock final : clock {
    steady_time now() const override { return time += step; }
    mutable steady_time time{1h};
    std::chrono::nanoseconds step{0};
};

struct rig {
    explicit rig(turn_limits limits = {}, mailbox_limits mail = {}) : home(0, time, system_random(), limits, mail) {}
    creeping_clock time;
    shard home;
};

struct probe_listener final : turn_listener {
    explicit probe_listener(std::function<void()> f) : ended(std::move(f)) {}
    void on_turn_end(write_line) override { ended(); }
    std::function<void()> ended;
};

}  // namespace

TEST(turn, takes_mail_in_slices_and_keeps_its_order) {
    rig r({.letters_max = 10});
    std::vector<int> got;
    for (int i = 0; i < 25; ++i) r.home.post([&got, i] { got.push_back(i); });
    r.home.turn();
    EXPECT_EQ(got.size(), 10u);
    // What comes later stays behind.
    r.home.post([&got] { got.push_back(25); });
    r.home.turn();
    EXPECT_EQ(got.size(), 20u);
    r.home.turn();
    ASSERT_EQ(got.size(), 26u);
    EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
    EXPECT_EQ(r.home.mailbox_letters(), 0u);
}

TEST(turn, ends_when_its_time_is_up) {
    rig r({.handlers = 0us, .mail = 1ms});
    int ran = 0;
    for (int i = 0; i < 100; ++i)
        r.home.post([&] {
            ++ran;
            r.time.time += 300us;
        });
    r.home.turn();
    EXPECT_EQ(ran, 4);  // the one that crosses the line was begun before it
    for (int i = 0; i < 24; ++i) r.home.turn();
    EXPECT_EQ(ran, 100);
}

// A thousand that have only just come, each with much to do, and one that was there before.
TEST(turn, sockets_that_are_settled_do_not_wait_for_those_that_arrive) {
    struct ready_socket final : pollable {
        ready_socket(shard& home, lane of, std::function<void()> work) : act(std::move(work)) {
            descriptor = ::eventfd(1, EFD_NONBLOCK);  // readable for good
            EXPECT_FALSE(home.sockets(of).watch(place, descriptor, {std::shared_ptr<void>(), this}, EPOLLIN));
        }
        ~ready_socket() { ::close(descriptor); }
        void on_ready(std::uint32_t) override { act(); }
        int descriptor = -1;
        std::uint32_t place = poller::nowhere;
        std::function<void()> act;
    };
    rig r({.arrivals = 1ms});
    int settled = 0, arriving = 0;
    std::vector<std::unique_ptr<ready_socket>> all;
    for (int i = 0; i < 100; ++i)
        all.push_back(std::make_unique<ready_socket>(r.home, lane::arriving, [&] {
            ++arriving;
            r.time.time += 200us;
        }));
    all.push_back(std::make_unique<ready_socket>(r.home, lane::settled, [&] {
        ++settled;
        r.time.time += 200us;
    }));
    for (int i = 1; i <= 10; ++i) {
        r.home.turn();
        EXPECT_GE(settled, i);
        EXPECT_GE(arriving, i);
        EXPECT_LE(arriving, 10 * i);
    }
    r.home.sockets(lane::arriving).clear();
    r.home.sockets(lane::settled).clear();
}

TEST(turn, ends_when_much_is_queued_for_sockets) {
    rig r({.queued_bytes_max = 100'000});
    const auto wire = std::make_shared<memory_stream>(r.home);
    int ran = 0;
    for (int i = 0; i < 10; ++i)
        r.home.post([&] {
            ++ran;
            wire->send(frame_ref::copy(std::string(60'000, 'x')));
        });
    r.home.turn();
    EXPECT_EQ(ran, 2);
    r.home.turn();
    EXPECT_EQ(ran, 4);
    EXPECT_EQ(r.home.queued_bytes(), wire->queued_bytes());
    wire->abort();
    EXPECT_EQ(r.home.queued_bytes(), 0u);
}

// Handlers that are always ready and a mailbox that is never empty: each has its share of every turn.
TEST(turn, neither_handlers_nor_mail_starve_the_other) {
    rig r({.handlers_max = 20, .letters_max = 10});
    int handlers = 0, letters = 0;
    std::function<void()> handler = [&] {
        ++handlers;
        asio::post(r.home.context(), handler);
    };
    std::function<void()> letter = [&] {
        ++letters;
        r.home.post([&] { letter(); });
    };
    for (int i = 0; i < 10; ++i) asio::post(r.home.context(), handler);
    r.home.post([&] { letter(); });
    for (int i = 0; i < 10; ++i) r.home.turn();
    EXPECT_GT(handlers, 150);
    EXPECT_LE(handlers, 200);
    EXPECT_GT(letters, 90);
    EXPECT_LE(letters, 100);
}

TEST(turn, very_many_writes_are_spread_over_turns_in_their_order) {
    rig r({.writes = 1ms});
    std::vector<int> got;
    for (int i = 0; i < 100; ++i)
        r.home.at_turn_end(std::make_shared<probe_listener>([&, i] {
            got.push_back(i);
            r.time.time += 100us;
        }));
    r.home.turn();
    EXPECT_GE(got.size(), 10u);
    EXPECT_LE(got.size(), 20u);
    bool heard = false;
    asio::post(r.home.context(), [&] { heard = got.size() < 100; });
    for (int i = 0; i < 10; ++i) r.home.turn();
    EXPECT_TRUE(heard);  // sockets had their chance in between
    EXPECT_EQ(got.size(), 100u);
    EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
}

TEST(turn, who_writes_first_waits_for_none_of_very_many_writes) {
    rig r({.writes = 1ms});
    int written = 0;
    for (int i = 0; i < 100; ++i)
        r.home.at_turn_end(std::make_shared<probe_listener>([&] {
            ++written;
            r.time.time += 100us;
        }));
    r.home.turn();
    ASSERT_LT(written, 100);
    int before = -1;
    asio::post(r.home.context(), [&] {
        r.home.at_turn_end(std::make_shared<probe_listener>([&, so_far = written] { before = written - so_far; }),
                           write_line::first);
    });
    r.home.turn();
    EXPECT_EQ(before, 0);
    EXPECT_LT(written, 100);
}

TEST(turn, background_work_gets_a_portion_of_each_turn_in_rotation) {
    rig r({.portions = 1ms, .portion = 500us});
    std::array<int, 3> done{};
    for (std::size_t job = 0; job < done.size(); ++job)
        r.home.in_portions([&, job] {
            do {
                ++done[job];
                r.time.time += 100us;
            } while (!r.home.portion_spent() && done[job] < 50);
            return done[job] < 50;
        });
    r.home.turn();
    EXPECT_EQ(done, (std::array{5, 5, 0}));
    r.home.turn();
    EXPECT_EQ(done, (std::array{10, 5, 5}));
    for (int i = 0; i < 40; ++i) r.home.turn();
    EXPECT_EQ(done, (std::array{50, 50, 50}));
}

TEST(turn, a_job_may_begin_another_one) {
    rig r;
    int second = 0;
    r.home.in_portions([&] {
        r.home.in_portions([&] { return ++second < 3; });
        return false;
    });
    for (int i = 0; i < 10; ++i) r.home.turn();
    EXPECT_EQ(second, 3);
}

TEST(turn, controls_overtake_the_mail) {
    rig r({.letters_max = 10});
    std::vector<std::string> log;
    for (int i = 0; i < 100; ++i)
        r.home.post([&] {
            log.push_back("mail");
            if (log.size() == 3) r.home.post_control([&] { log.push_back("inner control"); });
        });
    r.home.post_control([&] { log.push_back("control"); });
    r.home.turn();
    ASSERT_GE(log.size(), 5u);
    EXPECT_EQ(std::count(log.begin(), log.end(), "control"), 1);
    EXPECT_LE(std::find(log.begin(), log.end(), "control") - log.begin(), 1);
    EXPECT_EQ(log[3], "inner control");
}

TEST(turn, a_control_alone_wakes_the_loop) {
    runtime cores(2);
    std::jthread other([&] { cores.at(1).post_control([&] { cores.at(0).post_control([&] { cores.stop(); }); }); });
    cores.run();
}

TEST(mailbox, counts_octets_until_their_task_has_run_and_tells_when_there_is_room) {
    rig r({.letters_max = 2}, {.high_bytes = 1'000, .low_bytes = 300});
    rig reader;
    EXPECT_TRUE(r.home.post([] {}, 500));
    EXPECT_TRUE(r.home.post([] {}, 500));
    EXPECT_TRUE(r.home.mailbox_has_room());
    EXPECT_FALSE(r.home.post([] {}, 200));
    EXPECT_FALSE(r.home.mailbox_has_room());
    EXPECT_TRUE(r.home.post([] {}) == false);  // as long as there is no room
    r.home.post([] {}, 200);
    EXPECT_EQ(r.home.mailbox_octets(), 1'400u);
    int told = 0;
    r.home.when_room(reader.home, [&] { ++told; });
    r.home.turn();
    reader.home.turn();
    EXPECT_EQ(r.home.mailbox_octets(), 400u);
    EXPECT_EQ(told, 0);
    r.home.turn();
    EXPECT_EQ(r.home.mailbox_octets(), 200u);
    EXPECT_EQ(told, 0);  // not on this thread
    reader.home.turn();
    EXPECT_EQ(told, 1);
    r.home.turn();
    reader.home.turn();
    EXPECT_EQ(told, 1);
    // There is room already.
    r.home.when_room(reader.home, [&] { ++told; });
    reader.home.turn();
    EXPECT_EQ(told, 2);
}

// A reader that stops above the high mark and goes on when it is told: the other shard's mailbox stays bounded, and
// nobody waits for ever.
TEST(mailbox, credit_between_two_threads_never_gets_lost) {
    runtime cores(2);
    shard& reader = cores.at(0);
    shard& slow = cores.at(1);
    constexpr int all = 20'000;
    constexpr std::size_t each = 10'000;
    int sent = 0, arrived = 0;
    std::size_t most = 0;
    std::function<void()> read = [&] {
        for (bool room = true; room && sent < all; ++sent) {
            room = slow.post(
                [&] {
                    if (++arrived == all) cores.stop();
                },
                each);
            most = std::max(most, slow.mailbox_octets());
        }
        if (sent < all) slow.when_room(reader, [&] { read(); });
    };
    reader.post([&] { read(); });
    cores.run();
    EXPECT_EQ(arrived, all);
    EXPECT_LE(most, mailbox_limits{}.high_bytes + 2 * each);
}

TEST(stall, what_waits_in_the_sockets_is_read_before_timers_run) {
    // Real time: the loop is held by a handler for longer than a stall takes.
    runtime cores(1);
    shard& home = cores.at(0);
    std::vector<std::string> log;
    struct timed {
        timed(shard& s, std::vector<std::string>& l, runtime& r) : log(l), cores(r) { timer.start(s.wheel(), 100ms); }
        std::vector<std::string>& log;
        runtime& cores;
        wheel_timer timer{this, [](timed& self) {
                              self.log.push_back("timer");
                              self.cores.stop();
                          }};
    } timer(home, log, cores);
    home.post([&] {
        std::this_thread::sleep_for(shard::stall_min + 100ms);
        // More than one turn can take, as if so many sockets were ready.
        for (int i = 0; i < 1'000; ++i) asio::post(home.context(), [&] { log.push_back("octets"); });
    });
    const steady_time began = home.time().now();
    cores.run();
    EXPECT_EQ(log.size(), 1'001u);
    EXPECT_EQ(log.back(), "timer");
    EXPECT_GE(home.probe().stalls, 1u);  // the machine may stall as well
    EXPECT_GT(home.awake_since(), began + shard::stall_min);
    EXPECT_GE(home.take_longest_turn(), shard::stall_min);
}

TEST(probe, sorts_turns_by_their_length) {
    shard_probe probe;
    for (const auto length : {100us, 500us, 501us, 9'000us, 1'000'000us}) probe.count_turn(length);
    EXPECT_EQ(probe.turns, 5u);
    EXPECT_EQ(probe.turn_longest, 1s);
    EXPECT_EQ(probe.turns_by_length, (std::array<std::uint64_t, 8>{2, 1, 0, 0, 1, 0, 0, 1}));
}

}  // namespace foz::net
