// Sessions are found by their names, and their names by the sessions.
#include "aggregator/channel/directory.hpp"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

std::vector<member> of(const directory& all, std::string_view client) {
    std::vector<member> found;
    all.each_of(client, [&](member who) { found.push_back(who); });
    return found;
}

}  // namespace

TEST(directory, knows_each_session_and_the_sessions_of_each_client) {
    directory all(7);
    const member a1{0, 1}, a2{2, 1}, b{5, 9};
    all.add(a1, client_id("a"), session_id("s1"));
    all.add(b, client_id("b"), session_id("s2"));
    all.add(a2, client_id("a"), session_id("s3"));
    EXPECT_EQ(of(all, "a"), (std::vector{a1, a2})) << "in the order in which they came";
    EXPECT_EQ(of(all, "b"), std::vector{b});
    EXPECT_EQ(of(all, "c"), std::vector<member>{});
    EXPECT_EQ(all.members_of("a"), 2u);
    EXPECT_EQ(all.clients(), 2u);
    EXPECT_EQ(all.size(), 3u);
    EXPECT_EQ(all.find_session("s2"), b);
    EXPECT_EQ(all.find_session("a"), std::nullopt);
    EXPECT_EQ(all.client_of(a2), "a");
    EXPECT_EQ(all.session_of(a2), "s3");
}

TEST(directory, an_address_means_a_client_or_one_of_its_sessions) {
    directory all;
    const member who{0, 1};
    all.add(who, client_id("a"), session_id("s1"));
    EXPECT_TRUE(all.is_addressed(who, "a"));
    EXPECT_TRUE(all.is_addressed(who, "session:s1"));
    for (const char* const other : {"s1", "session:a", "b", "session:", ""}) EXPECT_FALSE(all.is_addressed(who, other));
}

TEST(directory, who_has_gone_is_not_its_successor) {
    directory all;
    all.add({0, 1}, client_id("a"), session_id("s1"));
    all.remove({0, 1});
    EXPECT_EQ(of(all, "a"), std::vector<member>{});
    EXPECT_EQ(all.find_session("s1"), std::nullopt);
    all.add({0, 2}, client_id("b"), session_id("s2"));
    EXPECT_FALSE(all.contains({0, 1}));
    EXPECT_TRUE(all.contains({0, 2}));
    EXPECT_FALSE(all.contains({9, 1}));
    EXPECT_EQ(all.clients(), 1u);
}

TEST(directory, is_as_a_map_whoever_comes_and_goes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937_64 random(seed);
        directory all(seed);
        std::map<std::string, std::vector<member>> model;  // by client, in the order in which they came
        std::map<std::uint32_t, std::pair<std::string, std::uint32_t>> here;
        std::uint32_t generation = 0;
        for (int i = 0; i < 2'000; ++i) {
            const auto slot = static_cast<std::uint32_t>(random() % 60);
            const auto at = here.find(slot);
            if (at == here.end()) {
                const std::string client = "client-" + std::to_string(random() % 20);
                const member who{slot, ++generation};
                all.add(who, client_id(client), session_id("s" + std::to_string(generation)));
                model[client].push_back(who);
                here[slot] = {client, generation};
            } else {
                all.remove({slot, at->second.second});
                std::erase(model[at->second.first], member{slot, at->second.second});
                here.erase(at);
            }
            ASSERT_EQ(all.size(), here.size());
            const std::string asked = "client-" + std::to_string(random() % 20);
            ASSERT_EQ(of(all, asked), model[asked]);
            ASSERT_EQ(all.members_of(asked), model[asked].size());
        }
        for (const auto& [slot, who] : here) {
            ASSERT_EQ(all.client_of({slot, who.second}), who.first);
            ASSERT_EQ(all.find_session("s" + std::to_string(who.second)), (member{slot, who.second}));
        }
    }
}

}  // namespace foz::aggregator
