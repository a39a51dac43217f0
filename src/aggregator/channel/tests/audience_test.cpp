// Who hears what.
#include "aggregator/channel/audience.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using names = std::vector<std::string>;
using envelope::via;

entry broadcast(std::string topic = "") {
    entry made{.topic = std::move(topic)};
    made.routes.push_back({via::broadcast, {}, nullptr});
    return made;
}

entry multicast(names groups, std::string topic = "") {
    entry made{.topic = std::move(topic)};
    for (auto& group : groups) made.routes.push_back({via::multicast, {group}, nullptr});
    return made;
}

entry direct(names receivers, std::string topic = "") {
    entry made{.topic = std::move(topic)};
    made.routes.push_back({via::direct, std::move(receivers), nullptr});
    return made;
}

struct room {
    explicit room(std::uint64_t hash_seed = 0) : sessions(hash_seed) {}

    member come(const std::string& client, const std::string& session) {
        const member who{next++, 1};
        sessions.add(who, client_id(client), session_id(session));
        return who;
    }
    member come(const std::string& client) { return come(client, "s-" + client); }
    // The sessions that are reached, in order of their names.
    names hear(const entry& what) {
        names reached;
        all.each(what, [&](member who, const entry_route& route) {
            EXPECT_EQ(&route, all.route_for(who, what));
            reached.emplace_back(sessions.session_of(who));
        });
        std::sort(reached.begin(), reached.end());
        return reached;
    }

    directory sessions;
    audience all{sessions};
    std::uint32_t next = 0;
};

}  // namespace

TEST(audience, each_kind_reaches_those_who_asked_for_it) {
    room r;
    const member a = r.come("a"), b = r.come("b"), c = r.come("c");
    r.all.add(a, interest::everything());
    r.all.add(b, {.groups = {"team"}, .all_topics = true});
    r.all.add(c, {.broadcast = true, .topics = {"room.*"}});
    EXPECT_EQ(r.hear(broadcast("room.1")), (names{"s-a", "s-c"}));
    EXPECT_EQ(r.hear(broadcast("other")), (names{"s-a"}));
    EXPECT_EQ(r.hear(multicast({"team"})), (names{"s-b"}));
    EXPECT_EQ(r.hear(multicast({"a"})), (names{"s-a"}));
    EXPECT_EQ(r.hear(direct({"a"})), (names{"s-a"}));
    EXPECT_EQ(r.hear(direct({"c"})), names{});
    EXPECT_EQ(r.hear(direct({"session:s-a"})), (names{"s-a"}));
    EXPECT_EQ(r.all.size(), 3u);
}

TEST(audience, a_direct_message_reaches_every_session_of_the_client_or_the_one_it_names) {
    room r;
    for (const char* const session : {"s1", "s2"}) r.all.add(r.come("a", session), interest::everything());
    r.come("a", "s3");  // does not hear this channel
    EXPECT_EQ(r.hear(direct({"a"})), (names{"s1", "s2"}));
    EXPECT_EQ(r.hear(direct({"session:s2", "session:s3", "session:a"})), (names{"s2"}));
    EXPECT_EQ(r.hear(direct({"s1"})), names{});
}

TEST(audience, a_topic_filters_broadcast_and_multicast_but_not_direct) {
    room r;
    r.all.add(r.come("a"),
              {.broadcast = true, .direct = true, .own_name = true, .groups = {"team"}, .topics = {"x.#"}});
    EXPECT_EQ(r.hear(broadcast("y")), names{});
    EXPECT_EQ(r.hear(multicast({"team", "a"}, "y")), names{});
    EXPECT_EQ(r.hear(multicast({"team"}, "x.1")), (names{"s-a"}));
    EXPECT_EQ(r.hear(multicast({"a"}, "x.1")), (names{"s-a"}));
    EXPECT_EQ(r.hear(direct({"a"}, "y")), (names{"s-a"}));
}

// What is sent to a client by its name is not for whoever has joined a group of that name.
TEST(audience, the_own_name_is_an_interest_and_no_group) {
    room r;
    const member a = r.come("a"), thief = r.come("thief"), quiet = r.come("a", "s-quiet");
    r.all.add(a, interest::everything());
    r.all.add(thief, {.own_name = true, .all_topics = true});
    r.all.add(quiet, {.broadcast = true, .all_topics = true});
    EXPECT_EQ(r.hear(multicast({"a"})), (names{"s-a"}));
    EXPECT_FALSE(r.all.in_group(a, "a"));
    // A group of that name, where the policy lets somebody join it, is another thing: it reaches its members, and
    // leaving the one leaves the other.
    r.all.add(a, {.groups = {"a"}});
    EXPECT_TRUE(r.all.remove(a, {.own_name = true}));
    EXPECT_EQ(r.hear(multicast({"a"})), (names{"s-a"}));
    EXPECT_TRUE(r.all.remove(a, {.groups = {"a"}}));
    EXPECT_EQ(r.hear(multicast({"a"})), names{});
    EXPECT_EQ(r.hear(multicast({"thief"})), (names{"s-thief"}));
}

TEST(audience, one_entry_reaches_a_member_once_by_the_first_route_that_does) {
    room r;
    const member a = r.come("a"), b = r.come("b");
    r.all.add(a, {.broadcast = true, .direct = true, .groups = {"t1", "t2"}, .topics = {"#", "x", "*"}});
    r.all.add(b, interest::everything());
    entry all = direct({"a", "session:s-a", "a"}, "x");
    for (auto& route : multicast({"t1", "t2", "b"}).routes) all.routes.push_back(route);
    all.routes.push_back({via::broadcast, {}, nullptr});
    EXPECT_EQ(r.hear(all), (names{"s-a", "s-b"}));
    EXPECT_EQ(r.all.route_for(a, all), &all.routes[0]);
    EXPECT_EQ(r.all.route_for(b, all), &all.routes[3]);
    all.routes.erase(all.routes.begin());
    EXPECT_EQ(r.hear(all), (names{"s-a", "s-b"}));
    EXPECT_EQ(r.hear(broadcast("x")), (names{"s-a", "s-b"}));
}

TEST(audience, repeated_consumes_are_a_union) {
    room r;
    const member a = r.come("a");
    r.all.add(a, {.broadcast = true, .topics = {"x"}});
    r.all.add(a, {.groups = {"team"}, .topics = {"y", "x"}});
    EXPECT_EQ(r.all.find(a), (interest{.broadcast = true, .groups = {"team"}, .topics = {"x", "y"}}));
    EXPECT_EQ(r.all.names_of(a), 3u);
    EXPECT_EQ(r.all.shared_with(a, {.groups = {"team", "x"}, .topics = {"y", "team", "*"}}), 2u);
    EXPECT_EQ(r.hear(broadcast("y")), (names{"s-a"}));
    r.all.add(a, {.broadcast = true, .all_topics = true});
    EXPECT_EQ(r.all.find(a), (interest{.broadcast = true, .groups = {"team"}, .all_topics = true}));
    EXPECT_EQ(r.hear(broadcast("z")), (names{"s-a"}));
    EXPECT_EQ(r.hear(multicast({"team"}, "z")), (names{"s-a"}));
    r.all.add(a, {.broadcast = true, .topics = {"x"}});
    EXPECT_TRUE(r.all.find(a)->topics.empty()) << "all topics make one topic moot";
    r.all.set(a, {.broadcast = true, .topics = {"w"}});
    EXPECT_EQ(r.all.find(a), (interest{.broadcast = true, .topics = {"w"}}));
}

TEST(audience, leaving_takes_away_what_is_named_or_all) {
    room r;
    const member a = r.come("a"), b = r.come("b");
    r.all.add(a, {.broadcast = true, .groups = {"team"}, .topics = {"x", "y"}});
    r.all.add(b, interest::everything());
    EXPECT_TRUE(r.all.remove(a, {.topics = {"x", "unknown"}}));
    EXPECT_EQ(r.hear(broadcast("x")), (names{"s-b"}));
    EXPECT_EQ(r.hear(broadcast("y")), (names{"s-a", "s-b"}));
    EXPECT_TRUE(r.all.remove(a, {.groups = {"team"}}));
    EXPECT_EQ(r.hear(multicast({"team"}, "y")), names{});
    EXPECT_FALSE(r.all.remove(a, {.topics = {"y"}})) << "the last topic: leaves, instead of hearing every topic";
    EXPECT_FALSE(r.all.contains(a));
    EXPECT_EQ(r.all.find(a), std::nullopt);
    EXPECT_EQ(r.hear(broadcast("y")), (names{"s-b"}));
    EXPECT_TRUE(r.all.remove(b, {.broadcast = true}));
    EXPECT_EQ(r.hear(broadcast("y")), names{});
    EXPECT_FALSE(r.all.remove(b, {}));
    EXPECT_FALSE(r.all.remove(b, {}));
    r.all.drop(b);
    EXPECT_EQ(r.all.size(), 0u);
}

TEST(audience, who_is_paused_hears_nothing_live_but_is_still_meant) {
    room r;
    const member a = r.come("a"), b = r.come("b"), c = r.come("c");
    r.all.add(a, interest::everything());
    r.all.add(b, {.broadcast = true, .direct = true, .own_name = true, .groups = {"team"}, .topics = {"x", "#"}});
    r.all.add(c, interest::everything());
    entry everyone = direct({"a", "b"}, "x");
    everyone.routes.push_back({via::multicast, {"team"}, nullptr});
    everyone.routes.push_back({via::broadcast, {}, nullptr});
    for (const member who : {a, b}) {
        r.all.pause(who, true);
        EXPECT_TRUE(r.all.paused(who));
    }
    for (const entry& what :
         {broadcast("x"), direct({"a", "b", "c"}), multicast({"team", "a", "b", "c"}, "x"), everyone}) {
        EXPECT_EQ(r.hear(what), (names{"s-c"}));
        EXPECT_TRUE(r.all.hears(a, what) && r.all.hears(b, what));
    }
    r.all.add(a, {.topics = {"z"}});
    r.all.set(b, interest::everything());
    EXPECT_EQ(r.hear(broadcast("x")), (names{"s-c"})) << "what it hears may change meanwhile";
    std::size_t members = 0;
    r.all.each_member([&](member) { ++members; });
    EXPECT_EQ(members, 3u);
    r.all.pause(a, false);
    EXPECT_EQ(r.hear(broadcast("x")), (names{"s-a", "s-c"}));
    r.all.drop(b);
    r.all.add(b, interest::everything());
    EXPECT_FALSE(r.all.paused(b));
    EXPECT_EQ(r.hear(broadcast("x")), (names{"s-a", "s-b", "s-c"}));
}

TEST(audience, a_slot_that_is_used_again_has_nothing_of_its_predecessor) {
    room r;
    const member first = r.come("a");
    r.all.add(first, interest::everything());
    r.all.drop(first);
    r.sessions.remove(first);
    const member second{first.slot, 2};
    r.sessions.add(second, client_id("b"), session_id("s-b"));
    EXPECT_FALSE(r.all.contains(second));
    r.all.add(second, interest::everything());
    EXPECT_FALSE(r.all.contains(first));
    EXPECT_FALSE(r.all.hears(first, broadcast()));
    EXPECT_EQ(r.hear(direct({"a"})), names{});
    EXPECT_EQ(r.hear(broadcast()), (names{"s-b"}));
}

TEST(audience, a_crowd_of_one_group_and_topic_leaves_in_any_order) {
    room r;
    std::vector<member> crowd;
    for (int i = 0; i < 1'000; ++i) {
        crowd.push_back(r.come("c" + std::to_string(i)));
        r.all.add(crowd.back(),
                  {.broadcast = true, .groups = {"team", "g" + std::to_string(i)}, .topics = {"x", "y.*"}});
    }
    for (std::size_t i = 0; i < crowd.size(); ++i) {
        r.all.drop(crowd[i * 7 % crowd.size()]);
        if (i % 100 != 0) continue;
        EXPECT_EQ(r.hear(broadcast("x")).size(), 999 - i);
        EXPECT_EQ(r.hear(multicast({"team"}, "y.1")).size(), 999 - i);
    }
    EXPECT_EQ(r.all.size(), 0u);
}

TEST(audience, the_order_depends_on_the_calls_alone) {
    const auto run = [](std::uint64_t hash_seed) {
        room r(hash_seed);
        std::vector<member> crowd;
        std::vector<std::uint32_t> order;
        for (int i = 0; i < 60; ++i) {
            crowd.push_back(r.come("c" + std::to_string(i % 20), "s" + std::to_string(i)));
            interest wanted{
                .broadcast = true, .direct = true, .own_name = true, .groups = {"g" + std::to_string(i % 3)}};
            if (i % 4 == 0) wanted.all_topics = true;
            if (i % 4 != 0) wanted.topics = {"t" + std::to_string(i % 5), "*", "#"};
            r.all.add(crowd.back(), wanted);
            if (i % 5 == 4) r.all.drop(crowd[static_cast<std::size_t>(i) / 2]);
            entry what = direct({"c1", "c2"}, "t" + std::to_string(i % 7));
            for (auto& route : multicast({"g1", "c3", "g2"}).routes) what.routes.push_back(route);
            what.routes.push_back({via::broadcast, {}, nullptr});
            r.all.each(what, [&](member who, const entry_route&) { order.push_back(who.slot); });
        }
        return order;
    };
    EXPECT_EQ(run(1), run(0x9e3779b97f4a7c15));
    EXPECT_GT(run(1).size(), 1'000u);
}

}  // namespace foz::aggregator
