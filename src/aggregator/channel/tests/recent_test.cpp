#include "aggregator/channel/recent.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

entry_ref at(std::uint64_t offset) {
    auto made = std::make_shared<entry>();
    made->where = envelope::position{.offset = offset};
    return made;
}

}  // namespace

TEST(recent_entries, keeps_the_newest_within_its_bytes) {
    recent_entries recent(3 * at(0)->bytes());
    for (const std::uint64_t offset : {1, 2, 5, 6}) recent.push(at(offset));
    EXPECT_EQ(recent.front().where->offset, 2u);
    const auto* const in = recent.find(3);
    ASSERT_TRUE(in);
    EXPECT_EQ(in->entries[recent_entries::place_in(*in, 3)]->where->offset, 5u) << "offsets have holes";
    EXPECT_FALSE(recent.find(7));
    recent_entries tiny(1);
    tiny.push(at(1));
    EXPECT_FALSE(tiny.empty()) << "the newest stays";
}

TEST(recent_entries, a_block_that_is_full_has_an_index) {
    recent_entries recent(1 << 20);
    for (std::uint64_t i = 1; i <= recent_entries::block_entries + 1; ++i) recent.push(at(i));
    const auto *const first = recent.find(1), *const second = recent.find(recent_entries::block_entries + 1);
    ASSERT_TRUE(first && second);
    EXPECT_NE(first->number, second->number);
    EXPECT_TRUE(recent.index_of(*first));
    EXPECT_FALSE(recent.index_of(*second)) << "it still grows";
}

TEST(recent_entries, what_is_remembered_no_more_is_given_away_whole) {
    recent_entries recent(1 << 20);
    for (std::uint64_t i = 1; i <= 2 * recent_entries::block_entries; ++i) recent.push(at(i));
    EXPECT_EQ(recent.release().size(), 2u) << "blocks";
    EXPECT_TRUE(recent.empty());
    recent.push(at(1));
    EXPECT_EQ(recent.back().where->offset, 1u) << "it may begin anew, at any place";
}

}  // namespace foz::aggregator
