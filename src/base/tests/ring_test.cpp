#include "base/ring.hpp"

#include "base/frame.hpp"

#include <deque>
#include <functional>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace foz {

TEST(ring, behaves_like_a_deque_through_growth_and_wrapping) {
    std::mt19937 random(7);
    ring<std::string> tested;
    std::deque<std::string> model;
    for (int i = 0; i < 20'000; ++i) {
        // Long runs of growth and of shrinking, so that it wraps and becomes empty many times.
        const bool grows = (i / 500) % 2 == 0 ? random() % 3 != 0 : random() % 3 == 0;
        if (grows) {
            tested.push_back("a string that does not fit into its own object " + std::to_string(i));
            model.push_back("a string that does not fit into its own object " + std::to_string(i));
        } else if (!model.empty()) {
            tested.pop_front();
            model.pop_front();
        }
        ASSERT_EQ(tested.size(), model.size());
        ASSERT_EQ(tested.empty(), model.empty());
        if (model.empty()) continue;
        ASSERT_EQ(tested.front(), model.front());
        ASSERT_EQ(tested.back(), model.back());
        const std::size_t at = random() % model.size();
        ASSERT_EQ(tested[at], model[at]);
    }
}

TEST(ring, is_as_large_as_a_pointer) {
    EXPECT_EQ(sizeof(ring<frame_ref>), sizeof(void*));
}

TEST(ring, an_element_may_use_the_ring_while_it_is_destroyed) {
    struct element {
        explicit element(std::function<void()> f) : on_end(std::move(f)) {}
        element(element&& other) noexcept : on_end(std::exchange(other.on_end, nullptr)) {}
        ~element() {
            if (on_end) on_end();
        }
        std::function<void()> on_end;
    };
    ring<element> tested;
    int ended = 0;
    for (int i = 0; i < 3; ++i)
        tested.push_back(element([&] {
            ++ended;
            if (ended == 1) tested.push_back(element([&] { ++ended; }));
        }));
    tested.pop_front();
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(tested.size(), 3u);
    tested.clear();
    EXPECT_EQ(ended, 4);
    EXPECT_TRUE(tested.empty());
}

}  // namespace foz
