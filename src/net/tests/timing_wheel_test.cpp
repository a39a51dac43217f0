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

const steady_time start{};

}  // namespace

TEST(timing_wheel, expires_not_before_and_within_two_ticks) {
    timing_wheel wheel(start);
    for (const auto after : {0ms, 1ms, 50ms, 975ms, 60'000ms}) {
        timing_wheel fresh(start);
        std::vector<int> fired;
        recorder r(fired, 1);
        r.timer.start(fresh, after);
        if (after > 0ms) fresh.advance(start + after - 1ms);
        EXPECT_TRUE(fired.empty()) << after.count();
        fresh.advance(start + after + 2 * timing_wheel::tick);
        EXPECT_EQ(fired.size(), 1u) << after.count();
    }
}

TEST(timing_wheel, runs_timers_in_order_of_their_ticks_and_once) {
    timing_wheel wheel(start);
    std::vector<int> fired;
    recorder late(fired, 3), early(fired, 1), middle(fired, 2), cancelled(fired, 4);
    late.timer.start(wheel, 30s);  // more than one round of the wheel
    middle.timer.start(wheel, 2s);
    early.timer.start(wheel, 100ms);
    cancelled.timer.start(wheel, 1s);
    cancelled.timer.cancel();
    for (auto t = 0ms; t < 120s; t += 20ms) wheel.advance(start + t);
    EXPECT_EQ(fired, (std::vector{1, 2, 3}));
    EXPECT_FALSE(early.timer.active());
}

TEST(timing_wheel, starting_again_moves_a_timer) {
    timing_wheel wheel(start);
    std::vector<int> fired;
    recorder r(fired, 1);
    r.timer.start(wheel, 1s);
    r.timer.start(wheel, 5s);
    wheel.advance(start + 4s);
    EXPECT_TRUE(fired.empty());
    wheel.advance(start + 6s);
    EXPECT_EQ(fired.size(), 1u);
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
    timing_wheel wheel(start);
    std::unique_ptr<suicidal> a, b;
    a.reset(new suicidal{&a, &b});
    b.reset(new suicidal{&b, &a});
    a->timer.start(wheel, 1s);
    b->timer.start(wheel, 1s);
    wheel.advance(start + 2s);
    EXPECT_FALSE(a);
    EXPECT_FALSE(b);
}

TEST(timing_wheel, a_timer_may_outlive_the_wheel) {
    std::vector<int> fired;
    recorder r(fired, 1);
    {
        timing_wheel wheel(start);
        r.timer.start(wheel, 1s);
    }
    EXPECT_FALSE(r.timer.active());
}

}  // namespace foz::net
