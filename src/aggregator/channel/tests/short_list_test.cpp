// It is as a vector, wherever its elements lie.
#include "aggregator/channel/short_list.hpp"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

template <class T>
void is_as_a_vector(std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    short_list<T> list;
    std::vector<T> model;
    const std::size_t many = 1 + random() % 40;
    for (int i = 0; i < 500; ++i) {
        const auto dice = random() % 8;
        const auto value = static_cast<T>(random());
        if (model.size() < many && dice < 4) {
            const std::size_t at = random() % (model.size() + 1);
            list.insert(at, value);
            model.insert(model.begin() + static_cast<std::ptrdiff_t>(at), value);
        } else if (!model.empty() && dice < 6) {
            const std::size_t at = random() % model.size();
            list.erase(at);
            model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
        } else if (dice == 6 && random() % 8 == 0) {
            const std::size_t size = random() % (model.size() + 1);
            list.truncate(size);
            model.resize(size);
        } else {
            list.push_back(value);
            model.push_back(value);
            ASSERT_EQ(list.back(), value);
            short_list<T> moved = std::move(list);
            list = std::move(moved);
        }
        ASSERT_EQ(std::vector<T>(list.begin(), list.end()), model);
        ASSERT_EQ(list.size(), model.size());
        ASSERT_EQ(list.empty(), model.empty());
    }
}

}  // namespace

TEST(short_list, is_as_a_vector_whatever_is_done_to_it) {
    static_assert(sizeof(short_list<std::uint64_t>) == 16);
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        is_as_a_vector<std::uint64_t>(seed);
        is_as_a_vector<std::uint32_t>(seed);
    }
}

TEST(short_list, what_it_is_given_replaces_what_it_had) {
    short_list<std::uint32_t> many, few;
    for (std::uint32_t i = 0; i < 100; ++i) many.push_back(i);
    few.push_back(7);
    many = std::move(few);
    EXPECT_EQ(std::vector<std::uint32_t>(many.begin(), many.end()), std::vector<std::uint32_t>{7});
    EXPECT_TRUE(few.empty());  // NOLINT(bugprone-use-after-move): it is empty by contract
    few.push_back(8);
    EXPECT_EQ(few.back(), 8u);
}

}  // namespace foz::aggregator
