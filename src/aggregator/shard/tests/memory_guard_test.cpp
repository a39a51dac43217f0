#include "aggregator/shard/memory_guard.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using state = memory_guard::state;

TEST(memory_guard, is_tight_when_little_is_left_and_until_there_is_room_again) {
    memory_guard guard(1'000'000);
    EXPECT_EQ(guard.look(840'000), state::fine);
    EXPECT_EQ(guard.look(860'000), state::tight);
    EXPECT_EQ(guard.look(820'000), state::tight) << "it doesn't change its mind with each message";
    EXPECT_EQ(guard.look(790'000), state::fine);
    EXPECT_EQ(guard.look(820'000), state::fine);
}

TEST(memory_guard, is_critical_just_before_the_end) {
    memory_guard guard(1'000'000);
    EXPECT_EQ(guard.look(910'000), state::critical);
    EXPECT_EQ(guard.look(890'000), state::tight);
    EXPECT_EQ(guard.look(5'000'000), state::critical);
}

TEST(memory_guard, without_a_budget_everything_is_fine) {
    memory_guard guard(0);
    EXPECT_EQ(guard.look(UINT64_MAX), state::fine);
}

}  // namespace
}  // namespace foz::aggregator
