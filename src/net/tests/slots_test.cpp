#include "net/slots.hpp"

#include "net/descriptors.hpp"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace foz::net {

TEST(slots, never_more_than_there_are_and_all_come_back) {
    const auto pool = std::make_shared<slot_pool>(10);
    std::atomic<std::size_t> most = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                std::vector<slot> mine;
                for (int i = 0; i < 20'000; ++i) {
                    if (slot one = slot::take(pool)) mine.push_back(std::move(one));
                    std::size_t seen = most;
                    const std::size_t used = pool->used();
                    while (used > seen && !most.compare_exchange_weak(seen, used)) {
                    }
                    if (mine.size() > 4) mine.clear();
                }
            });
    }
    EXPECT_EQ(pool->used(), 0u);
    EXPECT_LE(most, 10u);
}

TEST(slots, a_slot_that_is_moved_is_given_back_once) {
    const auto pool = std::make_shared<slot_pool>(2);
    slot one = slot::take(pool);
    slot two = slot::take(pool);
    EXPECT_FALSE(slot::take(pool));
    one = std::move(two);
    EXPECT_EQ(pool->used(), 1u);
    one.release();
    one.release();
    EXPECT_EQ(pool->used(), 0u);
}

TEST(descriptors, a_reserve_is_kept_from_clients) {
    EXPECT_EQ(descriptors_for_clients(20'000, 2), 20'000u - 112u);
    EXPECT_EQ(descriptors_for_clients(1'024, 64), 512u);  // of few, half
}

TEST(slots, one_below_is_one_of_both) {
    const auto all = std::make_shared<slot_pool>(2);
    const auto below = std::make_shared<slot_pool>(1, all);
    slot first = slot::take(all);
    EXPECT_TRUE(first.nest(below));
    EXPECT_EQ(all->used(), 1u);
    EXPECT_EQ(below->used(), 1u);
    EXPECT_FALSE(first.nest(below));  // it is one already
    slot second = slot::take(all);
    EXPECT_FALSE(second.nest(below));  // none left
    EXPECT_FALSE(second.nest(nullptr));
    EXPECT_FALSE(slot::take(below));
    EXPECT_EQ(all->used(), 2u);
    first.release();
    EXPECT_EQ(all->used(), 1u);
    EXPECT_EQ(below->used(), 0u);
    const slot third = slot::take(below);
    EXPECT_TRUE(third);
    EXPECT_EQ(all->used(), 2u);
    EXPECT_FALSE(slot::take(below));
    const auto elsewhere = std::make_shared<slot_pool>(1, std::make_shared<slot_pool>(1));
    EXPECT_FALSE(second.nest(elsewhere));
    second.release();
    EXPECT_EQ(all->used(), 1u);
    EXPECT_EQ(below->used(), 1u);
}

}  // namespace foz::net
