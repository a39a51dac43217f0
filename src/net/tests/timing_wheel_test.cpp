#include "net/timing_wheel.hpp"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace foz::net {
namespace {

using namespace std::chrono_literals;

struct recorder {
    explicit recorder(std::vector<int>& o, int n) : out(o), number(n) {}
    std::vector<int>& out;
    int number;
    wheel_timer timer{this, [](recorder& self) { self.out.push_back(self.number); }};
};

struct manual_clock final : clock {
    steady_time now() const override { return time; }
    steady_time time{};
};

// A wheel and the clock that its timers start by.
struct rig {
    bool advance(std::chrono::milliseconds to, std::size_t callbacks_max = SIZE_MAX) {
        time.time = steady_time(to);
        return wheel.advance(time.time, callbacks_max);
    }
    manual_clock time;
    timing_wheel wheel{time};
};

}  // namespace

TEST(timing_wheel, expires_not_before_and_within_a_tick) {
    for (const auto after : {0ms, 1ms, 50ms, 975ms, 60'000ms}) {
        for (const auto begin : {0ms, 1ms, 49ms, 50ms, 5'025ms}) {
            rig r;
            std::vector<int> fired;
            recorder timer(fired, 1);
            r.time.time = steady_time(begin);
            timer.timer.start(r.wheel, after);
            if (after > 0ms) r.advance(begin + after - 1ms);
            EXPECT_TRUE(fired.empty()) << begin.count() << " " << after.count();
            r.advance(begin + after + timing_wheel::tick);
            EXPECT_EQ(fired.size(), 1u) << begin.count() << " " << after.count();
        }
    }
}

TEST(timing_wheel, runs_timers_in_order_of_their_ticks_and_once) {
    rig r;
    std::vector<int> fired;
    recorder late(fired, 3), early(fired, 1), middle(fired, 2), cancelled(fired, 4);
    late.timer.start(r.wheel, 30s);  // more than one round of the wheel
    middle.timer.start(r.wheel, 2s);
    early.timer.start(r.wheel, 100ms);
    cancelled.timer.start(r.wheel, 1s);
    cancelled.timer.cancel();
    for (auto t = 0ms; t < 120s; t += 20ms) r.advance(t);
    EXPECT_EQ(fired, (std::vector{1, 2, 3}));
    EXPECT_FALSE(early.timer.active());
}

TEST(timing_wheel, starting_again_moves_a_timer) {
    rig r;
    std::vector<int> fired;
    recorder timer(fired, 1);
    timer.timer.start(r.wheel, 1s);
    timer.timer.start(r.wheel, 5s);
    r.advance(4s);
    EXPECT_TRUE(fired.empty());
    r.advance(6s);
    EXPECT_EQ(fired.size(), 1u);
}

// The wheel was last advanced a minute ago: a handler that runs before the next advance starts a timer.
TEST(timing_wheel, a_timer_counts_from_now_and_not_from_the_last_tick) {
    rig r;
    std::vector<int> fired;
    recorder timer(fired, 1);
    r.time.time = steady_time(60s);
    timer.timer.start(r.wheel, 10s);
    r.advance(60s);
    EXPECT_TRUE(fired.empty());
    r.advance(69'900ms);
    EXPECT_TRUE(fired.empty());
    r.advance(70'050ms);
    EXPECT_EQ(fired.size(), 1u);
}

TEST(timing_wheel, a_periodic_timer_runs_once_after_a_stall) {
    struct periodic {
        explicit periodic(timing_wheel& w) : wheel(w) { again(); }
        void again() { timer.start(wheel, 1s); }
        timing_wheel& wheel;
        int runs = 0;
        wheel_timer timer{this, [](periodic& self) {
                              ++self.runs;
                              self.again();
                          }};
    };
    for (const auto stall : {20'000ms, 25'600ms, 40'000ms, 3'600'000ms}) {
        rig r;
        periodic one(r.wheel);
        r.advance(1'050ms);
        EXPECT_EQ(one.runs, 1);
        r.advance(1'050ms + stall);
        EXPECT_EQ(one.runs, 2) << stall.count();
        r.advance(1'050ms + stall + 900ms);
        EXPECT_EQ(one.runs, 2) << stall.count();
        r.advance(1'050ms + stall + 1'050ms);
        EXPECT_EQ(one.runs, 3) << stall.count();
    }
}

TEST(timing_wheel, after_a_stall_of_hours_every_overdue_timer_runs_and_no_other) {
    rig r;
    std::vector<int> fired;
    std::vector<std::unique_ptr<recorder>> timers;
    for (int i = 0; i < 2'000; ++i) {
        timers.push_back(std::make_unique<recorder>(fired, i));
        timers.back()->timer.start(r.wheel, std::chrono::seconds(10 * i));
    }
    r.advance(10'000s);
    EXPECT_EQ(fired.size(), 1'001u);
    for (const int number : fired) EXPECT_LE(number, 1'000);
}

TEST(timing_wheel, many_due_timers_run_in_portions) {
    rig r;
    std::vector<int> fired;
    std::vector<std::unique_ptr<recorder>> timers;
    for (int i = 0; i < 10; ++i) {
        timers.push_back(std::make_unique<recorder>(fired, i));
        timers.back()->timer.start(r.wheel, 1s);
    }
    EXPECT_FALSE(r.advance(2s, 4));
    EXPECT_EQ(fired.size(), 4u);
    timers.front()->timer.cancel();  // has run, or is about to: timers run from the last one that was started
    timers.back()->timer.start(r.wheel, 1s);
    EXPECT_FALSE(r.advance(2'100ms, 4));
    EXPECT_TRUE(r.advance(2'100ms, 4));
    EXPECT_EQ(fired.size(), 9u);
    EXPECT_TRUE(r.advance(3'050ms, 4));
    EXPECT_EQ(fired.size(), 10u);
    EXPECT_EQ(fired.back(), 9);
}

TEST(timing_wheel, a_callback_may_destroy_its_own_and_other_timers) {
    struct suicidal {
        std::unique_ptr<suicidal>* self;
        std::unique_ptr<suicidal>* other;
        wheel_timer timer{this, [](suicidal& s) {
                              s.other->reset();
                              s.self->reset();
                          }};
    };
    rig r;
    std::unique_ptr<suicidal> a, b;
    a.reset(new suicidal{&a, &b});
    b.reset(new suicidal{&b, &a});
    a->timer.start(r.wheel, 1s);
    b->timer.start(r.wheel, 1s);
    r.advance(2s);
    EXPECT_FALSE(a);
    EXPECT_FALSE(b);
}

TEST(timing_wheel, a_timer_may_outlive_the_wheel) {
    std::vector<int> fired;
    recorder waiting(fired, 1), about_to_run(fired, 2), other(fired, 3);
    {
        rig r;
        waiting.timer.start(r.wheel, 10s);
        about_to_run.timer.start(r.wheel, 1s);
        other.timer.start(r.wheel, 1s);
        EXPECT_FALSE(r.advance(2s, 1));
    }
    EXPECT_FALSE(waiting.timer.active());
    EXPECT_FALSE(about_to_run.timer.active());
}

}  // namespace foz::net
