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

}  // namespace foz::net
