// Who says that an aggregator has died, and for whom.
#include "aggregator/feed/roster.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr milliseconds lease{4'000};

present_session who(const std::string& session) {
    return {"voice", "anon-" + session, session};
}

// Several aggregators and an exchange that gives everything to everybody, as JSON.
struct bus {
    struct member final : roster_output {
        member(bus& b, const std::string& n) : on(b), name(n), all(n, lease, *this) {}
        void say(peer_message what) override {
            if (mute) return;
            on.sent.push_back(to_json(what));
        }
        void tell_closed(const std::string& whom, const std::set<present_session>& sessions) override {
            for (const present_session& one : sessions) on.closed.push_back(name + " closes " + one.session);
            to_confirm.push_back(whom);
        }
        void tell_opened_again() override { ++opened_again; }

        bus& on;
        const std::string name;
        bool mute = false, deaf = false;
        unsigned opened_again = 0;
        std::vector<std::string> to_confirm;
        roster all;
    };

    member& add(const std::string& name) { return *(members[name] = std::make_unique<member>(*this, name)); }
    void kill(const std::string& name) { members.erase(name); }
    void deliver() {
        for (std::size_t i = 0; i < sent.size(); ++i) {
            const auto parsed = parse_peer_message(sent[i]);
            ASSERT_TRUE(parsed) << sent[i];
            for (auto& [name, one] : members)
                if (!one->deaf) one->all.on_message(*parsed, now);
        }
        sent.clear();
    }
    void confirm(bool all = true) {
        for (auto& [name, one] : members)
            for (const std::string& whom : std::exchange(one->to_confirm, {})) one->all.told_closed(whom, all);
        deliver();
    }
    void beat(int times = 1) {
        for (; times > 0; --times) {
            now += lease / roster::beats_in_lease;
            for (auto& [name, one] : members)
                if (!one->mute) one->all.on_beat(now);
            deliver();
        }
    }

    steady_time now{std::chrono::hours(1)};
    std::map<std::string, std::unique_ptr<member>> members;
    std::vector<std::string> sent;
    std::vector<std::string> closed;
};

}  // namespace

TEST(roster, the_lowest_of_those_who_live_says_once_who_has_gone_with_the_dead_one) {
    bus b;
    for (const char* name : {"a", "b", "c", "d"}) b.add(name);
    b.beat();
    b.members["a"]->all.note(who("1"), true);
    b.members["a"]->all.note(who("2"), true);
    b.members["a"]->all.flush();
    b.members["c"]->all.note(who("3"), true);
    b.beat();
    b.kill("a");
    b.beat(3);
    EXPECT_THAT(b.closed, IsEmpty()) << "not before the lease has passed";
    b.beat(2);
    EXPECT_THAT(b.closed, UnorderedElementsAre("b closes 1", "b closes 2"));
    b.confirm();
    b.beat(20);
    EXPECT_EQ(b.closed.size(), 2u);
    EXPECT_EQ(b.members["c"]->all.peers(), 2u);
    EXPECT_EQ(b.members["c"]->all.sessions_known(), 0u);
    EXPECT_EQ(b.members["b"]->all.sessions_known(), 1u);
}

TEST(roster, the_next_one_does_it_when_the_lowest_dies_too) {
    bus b;
    for (const char* name : {"a", "b", "c"}) b.add(name);
    b.members["a"]->all.note(who("1"), true);
    b.members["b"]->all.note(who("2"), true);
    b.beat(2);
    b.kill("a");
    b.beat(5);
    EXPECT_THAT(b.closed, ElementsAre("b closes 1"));
    b.kill("b");  // before anything was confirmed
    b.beat(6);
    EXPECT_THAT(b.closed, UnorderedElementsAre("b closes 1", "c closes 1", "c closes 2"));
}

// It has only just begun, and its name is the lowest.
TEST(roster, one_that_knows_less_does_not_make_the_others_forget) {
    bus b;
    b.add("b"), b.add("c"), b.add("d");
    b.beat(2);
    b.members["d"]->all.note(who("1"), true);
    b.members["d"]->all.flush();
    b.deliver();
    b.add("a");  // hears of d, and of nobody there
    b.members["d"]->all.note(who("2"), true);
    b.members["d"]->all.flush();
    b.deliver();
    b.kill("d");
    for (int i = 0; i < 8; ++i) {
        b.beat();
        b.confirm();
    }
    EXPECT_THAT(b.closed, UnorderedElementsAre("b closes 1", "b closes 2"));
    for (const char* name : {"a", "b", "c"}) EXPECT_EQ(b.members[name]->all.peers(), 2u) << name;
}

TEST(roster, what_was_not_confirmed_is_said_again) {
    bus b;
    b.add("a"), b.add("b");
    b.members["a"]->all.note(who("1"), true);
    b.beat(2);
    b.kill("a");
    b.beat(5);
    b.confirm(false);
    b.beat();
    EXPECT_THAT(b.closed, ElementsAre("b closes 1", "b closes 1"));
}

TEST(roster, one_that_leaves_in_good_order_and_a_session_that_has_gone_are_nothing_to_tell) {
    bus b;
    b.add("a"), b.add("b"), b.add("c");
    b.members["a"]->all.note(who("1"), true);
    b.members["b"]->all.note(who("2"), true);
    b.members["b"]->all.note(who("3"), true);
    b.beat(2);
    b.members["b"]->all.note(who("2"), false);
    b.beat();
    b.sent.push_back(to_json({.what = peer_message::kind::leaving, .from = "a"}));
    b.deliver();
    b.kill("a");
    b.kill("b");
    b.beat(8);
    EXPECT_THAT(b.closed, ElementsAre("c closes 3"));
}

TEST(roster, one_that_starts_later_learns_who_is_there_in_several_parts) {
    bus b;
    b.add("a");
    for (int i = 0; i < 1'234; ++i) b.members["a"]->all.note(who(std::to_string(i)), true);
    b.beat(2);
    b.add("b");
    b.beat(3);
    EXPECT_EQ(b.members["b"]->all.sessions_known(), 1'234u);
    b.members["a"]->all.note(who("7"), false);
    b.beat();
    EXPECT_EQ(b.members["b"]->all.sessions_known(), 1'233u);
    b.kill("a");
    b.beat(6);
    EXPECT_EQ(b.closed.size(), 1'233u);
}

TEST(roster, a_change_that_was_lost_is_noticed) {
    bus b;
    b.add("a"), b.add("b");
    b.beat(2);
    b.members["b"]->deaf = true;
    b.members["a"]->all.note(who("1"), true);
    b.members["a"]->all.flush();
    b.deliver();
    b.members["b"]->deaf = false;
    b.members["a"]->all.note(who("2"), true);
    b.beat(4);
    EXPECT_EQ(b.members["b"]->all.sessions_known(), 2u);
}

// A broker that holds everything back kills nobody.
TEST(roster, nobody_is_dead_while_our_own_heartbeats_do_not_come_back) {
    bus b;
    b.add("a"), b.add("b");
    b.members["a"]->all.note(who("1"), true);
    b.beat(2);
    b.kill("a");
    b.members["b"]->deaf = true;
    b.beat(20);
    EXPECT_THAT(b.closed, IsEmpty());
    b.members["b"]->deaf = false;
    b.members["b"]->all.on_attached(b.now);
    b.beat(6);
    EXPECT_THAT(b.closed, ElementsAre("b closes 1"));
}

// Its process was stopped.
TEST(roster, one_that_comes_back_after_all_says_that_its_sessions_are_open) {
    bus b;
    b.add("a"), b.add("b"), b.add("c");
    b.members["c"]->all.note(who("1"), true);
    b.beat(2);
    b.members["c"]->mute = b.members["c"]->deaf = true;
    b.beat(6);
    b.confirm();
    EXPECT_THAT(b.closed, ElementsAre("a closes 1"));
    b.members["c"]->mute = b.members["c"]->deaf = false;
    b.beat(3);
    EXPECT_EQ(b.members["c"]->opened_again, 1u);
    EXPECT_EQ(b.members["b"]->all.sessions_known(), 1u);
    b.kill("c");
    b.beat(6);
    EXPECT_THAT(b.closed, ElementsAre("a closes 1", "a closes 1"));
}

TEST(roster, what_comes_and_goes_between_two_flushes_is_not_said) {
    bus b;
    b.add("a");
    b.members["a"]->all.note(who("1"), true);
    b.members["a"]->all.note(who("1"), false);
    EXPECT_FALSE(b.members["a"]->all.has_news());
    b.members["a"]->all.flush();
    EXPECT_THAT(b.sent, IsEmpty());
}

TEST(peer_message, everything_comes_back_as_it_was_said) {
    const peer_message said{.what = peer_message::kind::snapshot,
                            .from = "x\"y",
                            .seq = 1'234'567,
                            .opened = {who("1"), who("\\")},
                            .first = true};
    const auto back = parse_peer_message(to_json(said));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->opened, said.opened);
    EXPECT_EQ(std::pair(back->from, back->seq), std::pair(said.from, said.seq));
    EXPECT_EQ(std::pair(back->first, back->last), std::pair(true, false));
    const auto told = parse_peer_message(to_json({.what = peer_message::kind::told,
                                                  .from = "a",
                                                  .client = "c",
                                                  .request = "1",
                                                  .json = R"({"event":"answer"})"}));
    ASSERT_TRUE(told);
    EXPECT_EQ(told->json, R"({"event":"answer"})");
    EXPECT_EQ(told->request, "1");
}

TEST(peer_message, what_is_of_another_version_or_not_well_made_is_passed_over) {
    for (const char* body : {"", "null", "{}", "[1]", R"({"v":2,"from":"a","kind":"alive","seq":1})",
                             R"({"v":1,"from":"a","kind":"sings"})", R"({"v":1,"kind":"alive","seq":1})",
                             R"({"v":1,"from":"a","kind":"presence","seq":1,"opened":[["voice"]]})", "\xff"})
        EXPECT_FALSE(parse_peer_message(body)) << body;
    EXPECT_TRUE(parse_peer_message(R"({"v":1,"from":"a","kind":"alive","seq":1,"more":{}})"));
}

}  // namespace foz::aggregator
