#include "amqp/conn/quarantine.hpp"

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

using namespace std::chrono_literals;
constexpr double middle = 0.5;  // of the jitter: pauses are as they are named
const steady_time start{100s};

}  // namespace

TEST(quarantine, one_that_is_alone_among_the_accused_is_sick_at_once_and_its_pauses_grow) {
    quarantine q;
    steady_time now = start;
    for (const auto pause : {500ms, 1'000ms, 2'000ms, 2'000ms, 2'000ms, 2'000ms, 2'375ms}) {
        q.accuse(7, "OUT_X");
        const auto found = q.connection_ended(now, middle);
        ASSERT_EQ(found.size(), 1u);
        EXPECT_EQ(found.front().channel, 7u);
        EXPECT_EQ(found.front().what, "OUT_X");
        EXPECT_EQ(found.front().retry_in, pause);
        EXPECT_TRUE(q.holds(7));
        EXPECT_EQ(q.next_trial_at(), now + pause);
        EXPECT_FALSE(q.begin_trial(now + pause - 1ms));
        now += pause;
        EXPECT_EQ(q.begin_trial(now), 7u);
        EXPECT_FALSE(q.next_trial_at()) << "while one is on trial";
    }
}

TEST(quarantine, pauses_become_a_quarter_of_the_time_since_the_first_strike_and_at_last_a_minute) {
    quarantine q;
    steady_time now = start;
    std::chrono::milliseconds pause{0};
    int strikes = 0;
    for (; pause < 60s; ++strikes) {
        q.accuse(7, "OUT_X");
        pause = q.connection_ended(now, middle).front().retry_in;
        EXPECT_LE(pause, std::max<std::chrono::nanoseconds>(2s, (now - start) / 4)) << strikes;
        now += pause;
        q.begin_trial(now);
    }
    EXPECT_LT(strikes, 24) << "the others have their peace";
    EXPECT_LT(now - start, 360s);
}

TEST(quarantine, of_several_accused_each_is_tried_alone_and_only_the_sick_one_is_found) {
    quarantine q;
    for (const std::uint64_t channel : {1u, 2u, 3u}) q.accuse(channel, std::to_string(channel));
    EXPECT_TRUE(q.connection_ended(start, middle).empty()) << "nobody is called sick for having been near";
    EXPECT_EQ(q.begin_trial(start), 1u);
    EXPECT_FALSE(q.begin_trial(start)) << "one at a time";
    q.acquit(1);
    EXPECT_FALSE(q.holds(1));
    EXPECT_EQ(q.begin_trial(start), 2u);
    q.accuse(2, "2");
    q.accuse(5, "5");  // was setting something up meanwhile: not the one that was new
    const auto found = q.connection_ended(start, middle);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found.front().channel, 2u);
    EXPECT_FALSE(q.holds(5));
    EXPECT_EQ(q.begin_trial(start), 3u) << "before the one that was found";
    q.acquit(3);
    EXPECT_FALSE(q.begin_trial(start));
    EXPECT_EQ(q.begin_trial(start + 1s), 2u);
    q.acquit(2);
    EXPECT_TRUE(q.empty());
}

TEST(quarantine, a_connection_that_is_lost_otherwise_during_a_trial_proves_nothing) {
    quarantine q;
    q.accuse(1, "1");
    q.accuse(2, "2");
    q.connection_ended(start, middle);
    EXPECT_EQ(q.begin_trial(start), 1u);
    EXPECT_TRUE(q.connection_ended(start, middle).empty());
    EXPECT_TRUE(q.holds(1));
    EXPECT_EQ(q.begin_trial(start), 1u) << "tried again";
}

TEST(quarantine, after_an_acquittal_it_begins_anew) {
    quarantine q;
    for (int i = 0; i < 3; ++i) {
        q.accuse(1, "1");
        EXPECT_EQ(q.connection_ended(start, 0).front().retry_in, 375ms);
        q.acquit(1);
        EXPECT_TRUE(q.empty());
    }
}

}  // namespace foz::amqp
