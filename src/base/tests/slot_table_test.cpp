#include "base/slot_table.hpp"

#include "base/seldom.hpp"

#include <memory>
#include <random>
#include <unordered_map>

#include <gtest/gtest.h>

namespace foz {

TEST(slot_table, finds_by_number_what_was_put_there) {
    slot_table<std::unique_ptr<int>> table;
    EXPECT_EQ(table.next(), 0u);
    EXPECT_EQ(table.put(std::make_unique<int>(10)), 0u);
    EXPECT_EQ(table.put(std::make_unique<int>(11)), 1u);
    EXPECT_EQ(table.put(std::make_unique<int>(12)), 2u);
    EXPECT_EQ(*table[1], 11);
    EXPECT_EQ(*table.take(1), 11);
    EXPECT_FALSE(table[1]);
    EXPECT_FALSE(table[3]);
    EXPECT_FALSE(table[UINT32_MAX]);
    EXPECT_EQ(table.size(), 2u);
    EXPECT_EQ(table.next(), 1u);
    EXPECT_EQ(table.put(std::make_unique<int>(21)), 1u);
    EXPECT_EQ(table.extent(), 3u);
}

TEST(slot_table, a_number_that_fell_off_the_end_is_given_once) {
    slot_table<std::unique_ptr<int>> table;
    for (int i = 0; i < 4; ++i) table.put(std::make_unique<int>(i));
    table.take(2);
    table.take(3);  // 2 goes with it
    EXPECT_EQ(table.extent(), 2u);
    EXPECT_EQ(table.put(std::make_unique<int>(12)), 2u);
    EXPECT_EQ(table.put(std::make_unique<int>(13)), 3u);
    EXPECT_EQ(*table[2], 12);
    EXPECT_EQ(table.size(), 4u);
}

// Compared with a map: what stays keeps its number, whatever comes and goes.
TEST(slot_table, agrees_with_a_map_however_it_is_used) {
    slot_table<std::unique_ptr<int>> table;
    std::unordered_map<std::uint32_t, int> model;
    std::mt19937 random(7);
    for (int i = 0; i < 20'000; ++i) {
        const bool growing = i / 1'000 % 2 == 0;
        if (model.empty() || random() % 10 < (growing ? 7u : 3u)) {
            const std::uint32_t next = table.next();
            const std::uint32_t slot = table.put(std::make_unique<int>(i));
            EXPECT_EQ(slot, next);
            EXPECT_TRUE(model.emplace(slot, i).second);
        } else {
            const auto gone = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
            EXPECT_EQ(*table.take(gone->first), gone->second);
            model.erase(gone);
        }
        ASSERT_EQ(table.size(), model.size());
    }
    std::size_t taken = 0;
    for (std::uint32_t slot = 0; slot < table.extent(); ++slot) taken += table[slot] != nullptr;
    EXPECT_EQ(taken, model.size());
    for (const auto& [slot, value] : model) EXPECT_EQ(*table[slot], value);
}

TEST(slot_table, is_empty_before_the_first_one_of_all_goes) {
    struct counts {
        slot_table<std::shared_ptr<counts>>* table;
        std::size_t* seen;
        ~counts() { *seen += table->size() + (*table)[0].use_count(); }
    };
    slot_table<std::shared_ptr<counts>> table;
    std::size_t seen = 0;
    for (int i = 0; i < 3; ++i) table.put(std::make_shared<counts>(&table, &seen));
    table.clear();
    EXPECT_EQ(seen, 0u);
    EXPECT_EQ(table.extent(), 0u);
}

TEST(slot_table, what_comes_and_goes_again_and_again_costs_nothing) {
    slot_table<std::unique_ptr<int>> table;
    for (int i = 0; i < 3; ++i) table.put(std::make_unique<int>(i));
    for (int i = 0; i < 100'000; ++i) {
        table.take(1);
        EXPECT_EQ(table.put(std::make_unique<int>(i)), 1u);
    }
    EXPECT_LE(table.remembered(), table.extent());
}

TEST(seldom, is_made_when_it_is_needed) {
    seldom<std::string> text;
    EXPECT_FALSE(text.there());
    EXPECT_EQ(text.find(), nullptr);
    EXPECT_EQ(text.take(), "");
    text.get() += "abc";
    EXPECT_TRUE(text.there());
    EXPECT_EQ(*text.find(), "abc");
    EXPECT_EQ(text.take(), "abc");
    EXPECT_FALSE(text.there());
    EXPECT_EQ(sizeof text, sizeof(void*));
}

}  // namespace foz
