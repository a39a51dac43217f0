#include "aggregator/channel/audience.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

struct person : subscriber {
    explicit person(const char* name) : subscriber(client_id(name), session_id(std::string("s-") + name)) {}
};

interest everything(const char* name) {
    return {.broadcast = true, .direct = true, .groups = {name}, .all_topics = true};
}

struct room {
    std::vector<std::string> hear(const std::function<void(const audience::receive&)>& send) {
        std::vector<std::string> names;
        send([&](subscriber& who) { names.push_back(who.client.str()); });
        std::sort(names.begin(), names.end());
        return names;
    }
    std::vector<std::string> broadcast(std::string_view topic) {
        return hear([&](const auto& to) { all.broadcast(topic, ++round, to); });
    }
    std::vector<std::string> multicast(std::string_view group, std::string_view topic = "") {
        return hear([&](const auto& to) { all.multicast(group, topic, ++round, to); });
    }
    std::vector<std::string> direct(std::string_view client) {
        return hear([&](const auto& to) { all.direct(client, ++round, to); });
    }
    audience all;
    std::uint64_t round = 0;
};

using names = std::vector<std::string>;

}  // namespace

TEST(subscriptions, each_kind_reaches_those_who_asked_for_it) {
    room r;
    person a("a"), b("b"), c("c");
    r.all.add(a, everything("a"));
    r.all.add(b, {.groups = {"team"}, .all_topics = true});
    r.all.add(c, {.broadcast = true, .topics = {"room.*"}});
    EXPECT_EQ(r.broadcast("room.1"), (names{"a", "c"}));
    EXPECT_EQ(r.broadcast("other"), (names{"a"}));
    EXPECT_EQ(r.multicast("team"), (names{"b"}));
    EXPECT_EQ(r.multicast("a"), (names{"a"}));
    EXPECT_EQ(r.direct("a"), (names{"a"}));
    EXPECT_EQ(r.direct("c"), names{});
    EXPECT_EQ(r.hear([&](const auto& to) { r.all.direct_session("s-a", ++r.round, to); }), (names{"a"}));
}

TEST(subscriptions, a_topic_filters_broadcast_and_multicast_but_not_direct) {
    room r;
    person a("a");
    r.all.add(a, {.broadcast = true, .direct = true, .groups = {"team"}, .topics = {"x.#"}});
    EXPECT_EQ(r.broadcast("y"), names{});
    EXPECT_EQ(r.multicast("team", "y"), names{});
    EXPECT_EQ(r.multicast("team", "x.1"), (names{"a"}));
    EXPECT_EQ(r.direct("a"), (names{"a"}));
}

TEST(subscriptions, one_message_reaches_a_socket_once_whatever_matches) {
    room r;
    person a("a");
    r.all.add(a, {.broadcast = true, .direct = true, .groups = {"t1", "t2"}, .topics = {"#", "x", "*"}});
    int times = 0;
    const auto count = [&](subscriber&) { ++times; };
    r.all.direct("a", 7, count);
    r.all.multicast("t1", "x", 7, count);
    r.all.multicast("t2", "x", 7, count);
    r.all.broadcast("x", 7, count);
    EXPECT_EQ(times, 1);
}

TEST(subscriptions, repeated_consumes_are_a_union) {
    room r;
    person a("a");
    r.all.add(a, {.broadcast = true, .topics = {"x"}});
    r.all.add(a, {.groups = {"team"}, .topics = {"y"}});
    EXPECT_EQ(*r.all.find(a), (interest{.broadcast = true, .groups = {"team"}, .topics = {"x", "y"}}));
    EXPECT_EQ(r.broadcast("y"), (names{"a"}));
    r.all.add(a, {.broadcast = true, .all_topics = true});
    EXPECT_TRUE(r.all.find(a)->all_topics);
    EXPECT_EQ(r.broadcast("z"), (names{"a"}));
    EXPECT_EQ(r.multicast("team", "z"), (names{"a"}));
}

TEST(subscriptions, leaving_takes_away_what_is_named_or_all) {
    room r;
    person a("a"), b("b");
    r.all.add(a, {.broadcast = true, .groups = {"team"}, .topics = {"x", "y"}});
    r.all.add(b, everything("b"));
    r.all.remove(a, {.topics = {"x"}});
    EXPECT_EQ(r.broadcast("x"), (names{"b"}));
    EXPECT_EQ(r.broadcast("y"), (names{"a", "b"}));
    r.all.remove(a, {.groups = {"team"}});
    EXPECT_EQ(r.multicast("team", "y"), names{});
    r.all.remove(a, {.topics = {"y"}});  // the last topic: leaves, instead of hearing every topic
    EXPECT_EQ(r.all.find(a), nullptr);
    EXPECT_EQ(r.broadcast("y"), (names{"b"}));
    r.all.remove(b, {});
    EXPECT_EQ(r.all.size(), 0u);
    EXPECT_EQ(r.broadcast("y"), names{});
    r.all.remove(b);
}

}  // namespace foz::aggregator
