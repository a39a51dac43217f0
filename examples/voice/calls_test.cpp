#include "calls.hpp"

#include <gtest/gtest.h>

namespace voice {
namespace {

using kind = notice::kind;

const calls::time now{};

const party ann{"ann", "a1"}, bob{"bob", "b1"}, bob2{"bob", "b2"}, eve{"eve", "e1"};

// Everybody is there; ann calls bob, and it rings.
struct ringing {
    ringing() {
        for (const party& who : {ann, bob, bob2, eve}) all.opened(who);
        rung = all.ring(ann, "bob", "c", now);
    }
    calls all;
    std::expected<notices, problem> rung;
};

struct talking : ringing {
    talking() { answered = all.answer(bob, "c"); }
    std::expected<notices, problem> answered;
};

}  // namespace

TEST(calls, ring_at_every_tab) {
    ringing r;
    ASSERT_TRUE(r.rung);
    EXPECT_EQ(*r.rung, (notices{{kind::ringing, "bob", "c", "ann", ""}}));
}

TEST(calls, a_client_is_present_as_long_as_one_of_its_sockets_is_open) {
    calls all;
    EXPECT_FALSE(all.present("bob"));
    for (const party& who : {bob, bob2}) all.opened(who);
    all.closed(bob);
    EXPECT_TRUE(all.present("bob"));
    all.closed(bob2);
    EXPECT_FALSE(all.present("bob"));
}

TEST(calls, who_has_left_or_is_oneself_is_not_reachable_a_stranger_may_be) {
    calls all;
    all.opened(bob);
    EXPECT_TRUE(all.closed(bob).empty());
    EXPECT_EQ(all.ring(ann, "bob", "c", now).error(), problem::not_reachable);
    EXPECT_EQ(all.ring(ann, "ann", "c", now).error(), problem::not_reachable);
    EXPECT_TRUE(all.ring(ann, "stranger", "c", now));
}

TEST(calls, who_is_in_a_call_is_busy) {
    ringing r;
    EXPECT_EQ(r.all.ring(eve, "bob", "d", now).error(), problem::busy);
    EXPECT_EQ(r.all.ring(eve, "ann", "d", now).error(), problem::busy);
    EXPECT_EQ(r.all.ring(ann, "eve", "d", now).error(), problem::busy);
}

TEST(calls, one_tab_answers_and_the_others_stop_ringing) {
    talking t;
    ASSERT_TRUE(t.answered);
    EXPECT_EQ(*t.answered, (notices{{kind::ended, "session:b2", "c", "", "answered_elsewhere"},
                                    {kind::answered, "session:a1", "c", "bob", ""}}));
    EXPECT_EQ(t.all.answer(bob2, "c").error(), problem::not_your_call);
    EXPECT_EQ(t.all.answer(eve, "c").error(), problem::not_your_call);
    EXPECT_EQ(t.all.answer(bob, "x").error(), problem::no_such_call);
}

TEST(calls, hanging_up_is_told_to_the_other_side) {
    for (const bool caller : {true, false}) {
        talking t;
        const auto told = t.all.hang_up(caller ? ann : bob, "c");
        ASSERT_TRUE(told);
        EXPECT_EQ(*told, (notices{{kind::ended, caller ? "session:b1" : "session:a1", "c", "", "hangup"}}));
        EXPECT_EQ(t.all.size(), 0u);
        EXPECT_EQ(t.all.hang_up(ann, "c").error(), problem::no_such_call);
    }
}

TEST(calls, before_it_was_answered_it_is_cancelled_or_declined) {
    ringing cancelled;
    EXPECT_EQ(*cancelled.all.hang_up(ann, "c"), (notices{{kind::ended, "bob", "c", "", "cancelled"}}));
    ringing elsewhere;
    EXPECT_EQ(*elsewhere.all.hang_up({"ann", "a2"}, "c"),
              (notices{{kind::ended, "bob", "c", "", "cancelled"}, {kind::ended, "session:a1", "c", "", "cancelled"}}));
    ringing declined;
    EXPECT_EQ(*declined.all.hang_up(bob, "c"), (notices{{kind::ended, "session:b2", "c", "", "declined"},
                                                        {kind::ended, "session:a1", "c", "", "declined"}}));
}

TEST(calls, nobody_else_hangs_up_or_signals) {
    ringing r;
    EXPECT_EQ(r.all.hang_up(eve, "c").error(), problem::not_your_call);
    EXPECT_EQ(r.all.signal(ann, "c").error(), problem::not_your_call) << "not answered yet";
    talking t;
    EXPECT_EQ(t.all.signal(bob2, "c").error(), problem::not_your_call);
    EXPECT_EQ(t.all.signal(ann, "x").error(), problem::no_such_call);
}

TEST(calls, another_socket_of_the_same_client_may_hang_up) {
    talking t;
    EXPECT_EQ(*t.all.hang_up(bob2, "c"), (notices{{kind::ended, "session:a1", "c", "", "hangup"},
                                                  {kind::ended, "session:b1", "c", "", "hangup"}}));
}

TEST(calls, whose_socket_was_lost_calls_again_from_a_new_one) {
    talking t;
    const auto told = t.all.ring({"ann", "a2"}, "eve", "d", now);
    ASSERT_TRUE(told);
    EXPECT_EQ(*told, (notices{{kind::ended, "session:b1", "c", "", "gone"}, {kind::ringing, "eve", "d", "ann", ""}}));
}

TEST(calls, a_refused_ring_ends_no_call) {
    talking t;
    t.all.opened({"dan", "d1"});
    t.all.opened({"fay", "f1"});
    ASSERT_TRUE(t.all.ring({"dan", "d1"}, "fay", "d", now));
    EXPECT_EQ(t.all.ring({"ann", "a2"}, "dan", "e", now).error(), problem::busy);
    EXPECT_TRUE(t.all.signal(ann, "c")) << "ann and bob still talk";
    EXPECT_EQ(t.all.size(), 2u);
}

TEST(calls, who_talks_with_somebody_calls_the_same_from_a_new_socket) {
    talking t;
    const auto told = t.all.ring({"ann", "a2"}, "bob", "d", now);
    ASSERT_TRUE(told);
    EXPECT_EQ(*told, (notices{{kind::ended, "session:b1", "c", "", "gone"}, {kind::ringing, "bob", "d", "ann", ""}}));
}

TEST(calls, a_socket_is_no_client_to_ring_at) {
    ringing r;
    EXPECT_EQ(r.all.ring(eve, "session:b1", "d", now).error(), problem::not_reachable);
    EXPECT_EQ(r.all.size(), 1u);
}

TEST(calls, who_left_is_remembered_for_a_while_only) {
    calls all;
    for (std::size_t i = 0; i <= calls::left_max; ++i) {
        const party who{"client" + std::to_string(i), "s" + std::to_string(i)};
        all.opened(who);
        all.closed(who);
    }
    EXPECT_EQ(all.known(), calls::left_max);
    EXPECT_EQ(all.ring(ann, "client1", "c", now).error(), problem::not_reachable);
    EXPECT_TRUE(all.ring(ann, "client0", "c", now)) << "forgotten: a stranger, who may be there";
}

TEST(calls, who_comes_back_is_not_forgotten) {
    calls all;
    for (std::size_t i = 0; i <= 2 * calls::left_max; ++i) {
        all.opened(bob);
        all.closed(bob);
    }
    all.opened(bob);
    all.opened(bob2);
    for (std::size_t i = 0; i <= calls::left_max; ++i) all.closed({"client" + std::to_string(i), "s"});
    ASSERT_TRUE(all.ring(ann, "bob", "c", now));
    EXPECT_EQ(all.answer(bob, "c")->size(), 2u) << "the other tab stops ringing";
}

TEST(calls, nothing_lasts_for_ever) {
    ringing r;
    EXPECT_FALSE(r.all.ring(eve, "bob", "d", now + calls::ringing_max));
    EXPECT_TRUE(r.all.ring(eve, "bob", "d", now + calls::ringing_max + std::chrono::seconds(1)));
    talking t;
    EXPECT_FALSE(t.all.ring(eve, "bob", "d", now + calls::talking_max));
    EXPECT_TRUE(t.all.ring(eve, "bob", "d", now + calls::talking_max + std::chrono::seconds(1)));
}

TEST(calls, signals_go_to_the_other_socket) {
    talking t;
    EXPECT_EQ(*t.all.signal(ann, "c"), (notices{{kind::signal, "session:b1", "c", "", ""}}));
    EXPECT_EQ(*t.all.signal(bob, "c"), (notices{{kind::signal, "session:a1", "c", "", ""}}));
}

TEST(calls, a_socket_that_closes_ends_its_call) {
    talking caller;
    EXPECT_EQ(caller.all.closed(ann), (notices{{kind::ended, "session:b1", "c", "", "gone"}}));
    talking callee;
    EXPECT_TRUE(callee.all.closed(bob2).empty()) << "another tab";
    EXPECT_EQ(callee.all.closed(bob), (notices{{kind::ended, "session:a1", "c", "", "gone"}}));
    ringing r;
    EXPECT_TRUE(r.all.closed(bob).empty()) << "another tab still rings";
    EXPECT_EQ(r.all.closed(bob2), (notices{{kind::ended, "session:a1", "c", "", "gone"}}));
    ringing s;
    EXPECT_EQ(s.all.closed(ann), (notices{{kind::ended, "bob", "c", "", "gone"}}));
    EXPECT_EQ(s.all.size(), 0u);
}

}  // namespace voice
