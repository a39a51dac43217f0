#include "aggregator/channel/position_schedule.hpp"

#include <set>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using std::chrono::seconds;

struct schedule {
    position_schedule all{100, seconds(30)};
    std::uint64_t count = 0;
    steady_time now{seconds(1)};
    std::multiset<std::uint32_t> told;

    void track(std::uint32_t slot) { all.track({.slot = slot}, count); }
    schedule() { tell(); }
    bool tell(std::size_t budget = 1000) {
        return all.tell_due(count, now, budget, [&](member who) { told.insert(who.slot); });
    }
};

}  // namespace

TEST(position_schedule, everybody_is_told_once_in_so_many_entries) {
    schedule s;
    for (std::uint32_t i = 0; i < 50; ++i) s.track(i);
    for (int i = 0; i < 101; ++i, ++s.count) s.tell();
    EXPECT_EQ(s.told.size(), 50u);
    for (std::uint32_t i = 0; i < 50; ++i) EXPECT_EQ(s.told.count(i), 1u) << i;
}

TEST(position_schedule, those_who_came_together_are_not_due_together) {
    schedule s;
    for (std::uint32_t i = 0; i < 1000; ++i) s.track(i);
    std::size_t most = 0;
    for (; s.count < 100; ++s.count) {
        const std::size_t before = s.told.size();
        s.tell();
        most = std::max(most, s.told.size() - before);
    }
    EXPECT_GE(s.told.size(), 980u);
    EXPECT_LE(most, 11u);
}

TEST(position_schedule, on_a_quiet_channel_a_session_is_told_within_the_interval_when_there_is_something) {
    schedule s;
    s.track(1);
    s.now += seconds(31);
    s.tell();
    EXPECT_TRUE(s.told.empty()) << "nothing has happened";
    s.count = 1;
    s.now += seconds(31);
    s.tell();
    EXPECT_EQ(s.told.count(1), 1u);
    s.now += seconds(31);
    s.tell();
    EXPECT_EQ(s.told.count(1), 1u) << "it knows";
}

TEST(position_schedule, a_session_that_left_is_told_nothing) {
    schedule s;
    for (std::uint32_t i = 0; i < 4; ++i) s.track(i);
    s.all.untrack({.slot = 1});
    s.all.untrack({.slot = 9});
    s.count = 200;
    s.tell();
    EXPECT_EQ(s.told, (std::multiset<std::uint32_t>{0, 2, 3}));
    for (std::uint32_t i = 0; i < 4; ++i) s.all.untrack({.slot = i});
    s.count = 400;
    EXPECT_FALSE(s.tell());
    EXPECT_EQ(s.told.size(), 3u);
    EXPECT_EQ(s.all.size(), 0u);
}

TEST(position_schedule, a_portion_is_bounded_and_says_that_there_is_more) {
    schedule s;
    for (std::uint32_t i = 0; i < 100; ++i) s.track(i);
    s.count = 300;
    EXPECT_TRUE(s.tell(30));
    EXPECT_EQ(s.told.size(), 30u);
    EXPECT_TRUE(s.tell(69));
    EXPECT_FALSE(s.tell(30));
    EXPECT_EQ(s.told.size(), 100u);
}

}  // namespace foz::aggregator
