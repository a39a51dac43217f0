#include "aggregator/channel/page_index.hpp"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

entry_ref made(std::vector<entry_route> routes, std::optional<std::string> answered = std::nullopt,
               std::uint64_t timestamp_s = 0) {
    auto one = std::make_shared<entry>();
    one->routes = std::move(routes);
    one->timestamp_s = timestamp_s;
    if (answered) one->answer = entry_answer{.to = {client_id(*answered), {}, "r"}, .deadline = {}};
    return one;
}
entry_route to(envelope::via how, std::vector<std::string> receivers = {}) {
    entry_route route{.how = how, .receivers = std::move(receivers)};
    return route;
}

using numbers = page_index::numbers;

// As each session would find it out by itself.
bool is_for(const entry& one, const page_index::listener& who, const std::set<std::string>& groups) {
    if (one.answer && one.answer->to.client.view() == who.client) return true;
    for (const entry_route& route : one.routes)
        for (const std::string_view name : route.receivers) {
            if (route.how == envelope::via::multicast &&
                (groups.contains(std::string(name)) || (who.own_name && name == who.client)))
                return true;
            if (route.how == envelope::via::direct && who.direct &&
                (name == who.client || name == "session:" + std::string(who.session)))
                return true;
        }
    return who.broadcast && std::ranges::any_of(one.routes, [](const entry_route& route) {
               return route.how == envelope::via::broadcast;
           });
}

}  // namespace

TEST(page_index, finds_what_a_session_has_to_test) {
    using envelope::via;
    const std::vector<entry_ref> entries{
        made({to(via::broadcast)}),
        made({to(via::direct, {"ann", "session:s1", "ann"}), to(via::multicast, {"g"}), to(via::broadcast)}),
        made({to(via::multicast, {"ann"})}),
        made({}, "ann"),
        made({to(via::direct, {"bob"})}),
    };
    const page_index index(entries);
    const auto pick = [&](const page_index::listener& who, const std::set<std::string>& groups = {},
                          std::size_t begin = 0) {
        numbers found;
        index.pick(who, groups, begin, found);
        return found;
    };
    EXPECT_EQ(pick({.client = "ann", .session = "s1", .broadcast = true, .direct = true}, {"g"}), (numbers{0, 1, 3}));
    EXPECT_EQ(pick({.client = "ann", .session = "s1", .own_name = true}), (numbers{2, 3}));
    EXPECT_EQ(pick({.client = "zoe", .session = "s1", .direct = true}), (numbers{1}));
    EXPECT_EQ(pick({.client = "zoe", .session = "s2", .broadcast = true}, {}, 1), (numbers{1}));
    EXPECT_EQ(pick({.client = "bob", .session = "s3", .direct = true}, {}, 5), numbers{});
}

TEST(page_index, appends_to_what_is_there) {
    const std::vector<entry_ref> entries{made({to(envelope::via::broadcast)})};
    numbers found{7};
    page_index(entries).pick({.broadcast = true}, std::set<std::string>{}, 0, found);
    EXPECT_EQ(found, (numbers{7, 0}));
}

TEST(page_index, what_does_not_tell_when_it_was_said_was_said_when_the_one_before_was) {
    const std::vector<entry_ref> entries{made({}), made({}, {}, 20), made({}), made({}, {}, 10)};
    const page_index first(entries), next(entries, 5);
    EXPECT_EQ(first.said_s(0), 0u);
    EXPECT_EQ(next.said_s(0), 5u);
    EXPECT_EQ(next.said_s(2), 20u);
    EXPECT_EQ(next.said_s(3), 10u);
}

TEST(page_index, finds_the_same_in_the_same_order_as_testing_each) {
    std::mt19937 random(20'260);
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    const auto name = [&](const char* kind, unsigned n) { return kind + std::to_string(below(n)); };
    std::size_t compared = 0, found_any = 0;
    for (int round = 0; round < 300; ++round) {
        std::vector<entry_ref> entries;
        for (unsigned n = below(60); n > 0; --n) {
            std::vector<entry_route> routes;
            if (below(3) == 0) {
                std::vector<std::string> receivers;
                for (unsigned r = 1 + below(4); r > 0; --r)
                    receivers.push_back(below(2) == 0 ? name("c", 8) : name("session:s", 8));
                routes.push_back(to(envelope::via::direct, receivers));
            }
            for (unsigned g = below(3); g > 0; --g) {
                const bool own = below(4) == 0;
                routes.push_back(to(envelope::via::multicast, {own ? name("c", 8) : name("g", 12)}));
            }
            if (below(4) == 0) routes.push_back(to(envelope::via::broadcast));
            const bool answer = routes.empty() && below(2) == 0;
            entries.push_back(made(std::move(routes), answer ? std::optional(name("c", 8)) : std::nullopt));
        }
        const page_index index(entries);
        for (int session = 0; session < 20; ++session) {
            const std::string client = name("c", 8), id = name("s", 8);
            const page_index::listener who{.client = client,
                                           .session = id,
                                           .broadcast = below(2) == 0,
                                           .direct = below(2) == 0,
                                           .own_name = below(2) == 0};
            std::set<std::string> groups;
            for (unsigned g = below(20); g > 0; --g) groups.insert(name("g", 12));
            const std::size_t begin = below(static_cast<unsigned>(entries.size()) + 1);
            numbers expected, found;
            for (std::size_t n = begin; n < entries.size(); ++n)
                if (is_for(*entries[n], who, groups)) expected.push_back(static_cast<std::uint32_t>(n));
            index.pick(who, groups, begin, found);
            ASSERT_EQ(found, expected);
            ++compared;
            found_any += !found.empty();
        }
    }
    EXPECT_EQ(compared, 6'000u);
    EXPECT_GT(found_any, 2'000u);
}

}  // namespace foz::aggregator
