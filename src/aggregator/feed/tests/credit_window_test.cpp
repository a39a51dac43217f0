#include "aggregator/feed/credit_window.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {

TEST(credit_window, is_full_at_its_octets_and_has_room_again_at_half) {
    credit_window<int> window(100);
    EXPECT_EQ(window.hand_on(60, 1), 1u);
    EXPECT_FALSE(window.full());
    EXPECT_EQ(window.hand_on(60, 2), 2u);
    EXPECT_TRUE(window.full());
    EXPECT_EQ(window.octets(), 120u);
    EXPECT_EQ(window.settle(1), 1);
    EXPECT_FALSE(window.full());
    EXPECT_FALSE(window.half_empty());
    EXPECT_EQ(window.settle(2), 2);
    EXPECT_TRUE(window.half_empty() && window.empty());
    EXPECT_EQ(window.octets(), 0u);
}

TEST(credit_window, settling_covers_all_before_and_repeating_it_changes_nothing) {
    credit_window<int> window(100);
    for (int n = 1; n <= 5; ++n) window.hand_on(1, n * 10);
    EXPECT_EQ(window.settle(3), 30);
    EXPECT_EQ(window.settle(3), std::nullopt);
    EXPECT_EQ(window.settle(1), std::nullopt);
    EXPECT_EQ(window.entries(), 2u);
    EXPECT_EQ(window.hand_on(1, 60), 6u) << "numbers go on";
    EXPECT_EQ(window.settle(6), 60);
}

// What needs no dispatching must not be acknowledged before what was read earlier.
TEST(credit_window, what_passes_waits_for_what_is_open) {
    credit_window<int> window(100);
    EXPECT_EQ(window.pass(1), 1);
    window.hand_on(1, 2);
    EXPECT_EQ(window.pass(3), std::nullopt);
    EXPECT_EQ(window.settle(1), 3);
    EXPECT_EQ(window.pass(4), 4);
}

// A message of any size goes through a window of any size.
TEST(credit_window, one_entry_may_be_larger_than_all_of_it) {
    credit_window<int> window(10);
    window.hand_on(1000, 1);
    EXPECT_TRUE(window.full());
    window.settle(1);
    EXPECT_TRUE(window.half_empty());
}

}  // namespace foz::aggregator
