// Rows are found by their keys, whatever collides.
#include "aggregator/channel/id_table.hpp"

#include "aggregator/channel/packed_name.hpp"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace foz::aggregator {

TEST(id_table, finds_what_was_inserted_and_not_erased) {
    for (const std::uint64_t hashes : {1ull, 7ull, 1ull << 32}) {  // all collide, most collide, hardly any
        std::mt19937_64 random(hashes);
        id_table table;
        std::map<std::uint32_t, std::uint64_t> model;  // hash by id
        for (int i = 0; i < 5'000; ++i) {
            const auto id = static_cast<std::uint32_t>(random() % 500);
            if (const auto known = model.find(id); known != model.end()) {
                table.erase(known->second, id);
                model.erase(known);
            } else if (random() % 3 != 0 || i < 2'000) {
                const std::uint64_t hash = random() % hashes;
                table.insert(hash, id);
                model.emplace(id, hash);
            }
            ASSERT_EQ(table.size(), model.size());
            const auto asked = static_cast<std::uint32_t>(random() % 500);
            const auto known = model.find(asked);
            const std::uint64_t hash = known == model.end() ? random() % hashes : known->second;
            ASSERT_EQ(table.find(hash, [&](std::uint32_t one) { return one == asked; }),
                      known == model.end() ? id_table::none : asked);
        }
    }
}

TEST(id_table, an_empty_one_has_nothing) {
    id_table table;
    EXPECT_EQ(table.find(5, [](std::uint32_t) { return true; }), id_table::none);
    table.insert(5, 1);
    table.erase(5, 1);
    EXPECT_EQ(table.find(5, [](std::uint32_t) { return true; }), id_table::none);
}

TEST(id_table, the_seed_decides_which_names_collide) {
    EXPECT_EQ(name_hash("room.1", 3), name_hash("room.1", 3));
    EXPECT_NE(name_hash("room.1", 3), name_hash("room.1", 4));
    EXPECT_NE(name_hash("room.1", 3), name_hash("room.2", 3));
    EXPECT_NE(pair_hash(1, 2, 3), pair_hash(2, 1, 3));
}

TEST(packed_name, keeps_its_octets) {
    EXPECT_EQ(packed_name().view(), "");
    EXPECT_EQ(packed_name("").view(), "");
    EXPECT_EQ(packed_name("a").view(), "a");
    const std::string long_one(300, 'x');
    packed_name kept(long_one);
    const packed_name moved = std::move(kept);
    EXPECT_EQ(moved.view(), long_one);
    EXPECT_EQ(packed_name(std::string_view("a\0b", 3)).view(), std::string_view("a\0b", 3));
}

}  // namespace foz::aggregator
