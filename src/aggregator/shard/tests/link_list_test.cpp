#include "aggregator/shard/link_list.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace std::chrono_literals;
const steady_time begin{100s};

}  // namespace

TEST(link_list, a_connection_is_away_after_the_grace_and_not_after_its_last_attempt) {
    link_list links;
    EXPECT_FALSE(links.away_for(0s, begin));
    links.lost("streams", "reset", begin);
    links.lost("streams", "refused", begin + 4s);
    EXPECT_FALSE(links.away_for(5s, begin + 4'999ms));
    const auto* away = links.away_for(5s, begin + 5s);
    ASSERT_TRUE(away);
    EXPECT_EQ(away->name, "streams");
    EXPECT_EQ(away->reason, "refused");
    EXPECT_EQ(away->since, begin);
}

TEST(link_list, who_was_lost_first_is_told_until_it_is_back) {
    link_list links;
    links.lost("consume", "a", begin);
    links.lost("own", "b", begin + 1s);
    EXPECT_EQ(links.away_for(1s, begin + 2s)->name, "consume");
    links.connected("consume");
    links.connected("consume");
    EXPECT_EQ(links.away_for(1s, begin + 2s)->name, "own");
    EXPECT_FALSE(links.away_for(2s, begin + 2s));
    links.connected("own");
    EXPECT_TRUE(links.empty());
}

}  // namespace foz::aggregator
