// What the window bounds, and what holds whatever happens.
#include "amqp/conn/tests/window_fixture.hpp"

#include <map>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::amqp {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(publish_window, the_window_becomes_what_the_broker_confirms_within_the_target) {
    table_top t({.in_flight_min = 10, .in_flight_limit = 100, .confirm_target = 20ms});
    t.open();
    std::uint64_t tag = 0;
    // A broker that needs so long for a message, one after the other; never too little waits.
    const auto serve = [&](std::chrono::microseconds each, int messages) {
        for (int i = 0; i < messages; ++i) {
            while (t.window.waiting() < 200) t.submit("k", "x", false, 600s);
            t.send();
            t.now += each;
            t.confirm(++tag);
        }
    };
    serve(500us, 400);
    EXPECT_NEAR(static_cast<double>(t.window.window()), 42, 4)
        << "20 ms of 2 messages a millisecond, and their latency";
    EXPECT_EQ(t.window.in_flight() + 1, t.window.window());
    serve(50us, 2'000);
    EXPECT_EQ(t.window.window(), 100u) << "its limit";
    serve(10ms, 400);
    EXPECT_EQ(t.window.window(), 10u) << "its minimum";
}

TEST(publish_window, a_publisher_that_is_not_held_up_keeps_its_window) {
    table_top t({.in_flight_min = 10, .in_flight_limit = 100});
    t.open();
    for (std::uint64_t tag = 1; tag <= 100; ++tag) {
        t.submit("k", "x");
        t.send();
        t.now += 5ms;
        t.confirm(tag);
    }
    EXPECT_EQ(t.window.window(), 10u);
}

// Each message costs what pool_message_octets says, message_octets, and 1,000 for its body and its key.
constexpr std::size_t cost = publish_window::pool_message_octets + publish_window::message_octets + 1'000;

TEST(publish_window, publishers_that_share_a_pool_have_all_of_it_once) {
    octet_pool pool{.max = 10 * cost};
    {
        table_top one({.pool = &pool}), two({.pool = &pool});
        for (int i = 0; i < 3; ++i) one.submit("a", std::string(999, 'x'));
        for (int i = 0; i < 3; ++i) two.submit("b", std::string(999, 'x'));
        EXPECT_EQ(pool.used, 6 * cost);
        one.open();
        one.send();
        one.confirm(3, true);
        EXPECT_EQ(pool.used, 3 * cost);
    }
    EXPECT_EQ(pool.used, 0u) << "what publishers leave behind is free";
}

TEST(publish_window, a_key_has_no_more_of_a_pool_waiting_than_is_free) {
    octet_pool pool{.max = 12 * cost};
    table_top t({.pool = &pool});
    for (int i = 0; i < 20; ++i) t.submit("flooder", std::string(993, 'x'));
    EXPECT_EQ(t.window.waiting_messages("flooder"), 6u) << "half of it";
    for (int i = 0; i < 20; ++i) t.submit("another", std::string(993, 'x'));
    EXPECT_EQ(t.window.waiting_messages("another"), 3u) << "half of what was left";
    t.submit("bystander", std::string(991, 'x'));
    EXPECT_EQ(t.window.waiting_messages("bystander"), 1u);
    EXPECT_EQ(t.window.counters().overloaded, 14u + 17u);
}

TEST(publish_window, a_pool_is_never_exceeded) {
    octet_pool pool{.max = 10 * cost};
    table_top t({.pool = &pool});
    for (int i = 0; i < 100; ++i) t.submit(std::to_string(1'000 + i), std::string(996, 'x'));
    EXPECT_EQ(pool.used, 10 * cost);
    EXPECT_EQ(t.window.pending(), 10u);
    t.submit("", std::string(10, 'x'));
    EXPECT_EQ(t.window.pending(), 10u) << "what is nobody's counts, too";
}

TEST(publish_window, a_key_is_full_at_its_high_mark_and_told_at_half_of_it) {
    table_top t({.in_flight_limit = 1, .key_high_mark = 4});
    t.open();
    for (int i = 0; i < 3; ++i) t.submit("a", "x");
    EXPECT_FALSE(t.window.full("a"));
    t.submit("a", "x");
    EXPECT_TRUE(t.window.full("a"));
    EXPECT_FALSE(t.window.full("b"));
    EXPECT_EQ(t.window.waiting_messages("a"), 4u);
    EXPECT_EQ(t.window.waiting_octets("a"), 4 * (publish_window::message_octets + 2));
    for (std::uint64_t tag = 1; tag <= 2; ++tag) {
        EXPECT_THAT(t.room, IsEmpty());
        t.send();
        t.confirm(tag);
    }
    EXPECT_THAT(t.room, ElementsAre("a"));
    EXPECT_FALSE(t.window.full("a"));
    for (std::uint64_t tag = 3; tag <= 4; ++tag) {
        t.send();
        t.confirm(tag);
    }
    EXPECT_EQ(t.room.size(), 1u) << "told once";
}

TEST(publish_window, an_ordered_key_is_full_earlier) {
    table_top t({.key_high_mark = 8, .ordered_high_mark = 4});
    for (int i = 0; i < 4; ++i) {
        t.submit("unordered", "x");
        EXPECT_FALSE(t.window.full("ordered"));
        t.submit("ordered", "x", true);
    }
    EXPECT_TRUE(t.window.full("ordered"));
    EXPECT_FALSE(t.window.full("unordered"));
}

TEST(publish_window, a_key_is_full_by_octets_and_by_its_share_of_what_all_may_have_waiting) {
    table_top t({.key_octets_high_mark = 10'000, .waiting_high_mark = 100});
    t.submit("large", std::string(9'000, 'x'));
    EXPECT_FALSE(t.window.full("large"));
    t.submit("large", std::string(1'000, 'x'));
    EXPECT_TRUE(t.window.full("large"));
    for (int key = 0; key < 9; ++key)
        for (int i = 0; i < 9; ++i) t.submit("k" + std::to_string(key), "x");
    EXPECT_FALSE(t.window.full("k8")) << "nine of ten";
    t.submit("k8", "x");
    EXPECT_TRUE(t.window.full("k8"));
}

TEST(publish_window, a_full_key_whose_messages_expire_has_room) {
    table_top t({.key_high_mark = 2});
    t.submit("a", "1", false, 1s);
    t.submit("a", "2", false, 1s);
    EXPECT_TRUE(t.window.full("a"));
    t.pass(1'100ms);
    EXPECT_THAT(t.room, ElementsAre("a"));
    EXPECT_FALSE(t.window.full("a"));
}

TEST(publish_window, beyond_the_hard_bounds_a_message_is_refused_and_what_was_taken_is_kept) {
    table_top t({.pending_limit = 5, .key_waiting_limit = 3, .key_high_mark = 2});
    for (const char* body : {"1", "2", "3", "4"}) t.submit("a", body);
    EXPECT_THAT(t.settled, ElementsAre("4=overloaded"));
    for (const char* body : {"5", "6", "7"}) t.submit("b", body);
    EXPECT_THAT(t.settled, ElementsAre("4=overloaded", "7=overloaded"));
    EXPECT_EQ(t.window.counters().overloaded, 2u);
    EXPECT_EQ(t.window.pending(), 5u);
    t.open();
    EXPECT_EQ(t.send().size(), 5u);
}

TEST(publish_window, nobodys_messages_are_bounded_with_all_others_only) {
    table_top t({.pending_limit = 5, .key_waiting_limit = 1, .key_high_mark = 1});
    for (int i = 0; i < 6; ++i) t.submit("", std::to_string(i));
    EXPECT_THAT(t.settled, ElementsAre("5=overloaded"));
}

TEST(publish_window, what_cannot_be_encoded_is_invalid_and_the_next_one_goes) {
    table_top t;
    t.open();
    t.submit("a", "bad", true);
    t.submit("a", "good", true);
    ASSERT_NE(t.window.next_to_send(), nullptr);
    t.window.cannot_encode();
    EXPECT_THAT(t.send(), ElementsAre("a:good"));
    EXPECT_THAT(t.settled, ElementsAre("bad=invalid"));
}

TEST(publish_window, confirms_of_what_was_never_sent_or_is_answered_change_nothing) {
    table_top t;
    t.open();
    t.submit("a", "1");
    t.submit("a", "2");
    t.send();
    t.confirm(2);
    t.confirm(2);
    t.refuse(2);
    t.confirm(3, true);
    t.confirm(0, true);
    EXPECT_THAT(t.settled, ElementsAre("2=confirmed"));
    EXPECT_EQ(t.window.in_flight(), 1u);
    t.confirm(1);
    EXPECT_TRUE(t.window.idle());
}

TEST(publish_window, deadlines_far_apart_and_long_stalls_are_swept_right) {
    deadline_wheel wheel;
    const steady_time start{5000s};
    std::vector<std::uint32_t> due;
    wheel.expire(start, due);
    wheel.arm(0, start + 150ms);
    wheel.arm(1, start + 40s);  // more than a turn of the wheel
    wheel.arm(2, start - 1s);
    wheel.arm(3, start + 150ms);
    wheel.disarm(3);
    wheel.expire(start + 100ms, due);
    EXPECT_THAT(due, ElementsAre(2u));
    wheel.expire(start + 200ms, due);
    EXPECT_THAT(due, ElementsAre(2u, 0u));
    for (auto at = 300ms; at < 40s; at += 100ms) wheel.expire(start + at, due);
    EXPECT_EQ(due.size(), 2u);
    wheel.expire(start + 400s, due);
    EXPECT_THAT(due, ElementsAre(2u, 0u, 1u));
    EXPECT_EQ(wheel.armed(), 0u);
}

// Whatever happens, everybody is told once, keys keep their order, and the bounds hold.
TEST(publish_window, random_histories_settle_each_message_once_in_the_order_of_its_key) {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
        table_top t({.in_flight_limit = 8, .pending_limit = 60, .key_waiting_limit = 20, .key_high_mark = 6});
        std::map<std::string, std::vector<int>> first_sends;  // by key
        std::set<std::string> seen;
        std::uint64_t sent_tags = 0;
        bool open = false;
        int submitted = 0;
        const auto send = [&] {
            for (const auto& one : t.send()) {
                ++sent_tags;
                if (!seen.insert(one).second) continue;
                const auto colon = one.find(':');
                first_sends[one.substr(0, colon)].push_back(std::stoi(one.substr(colon + 1)));
            }
        };
        for (int step = 0; step < 400; ++step) {
            const unsigned what = below(10);
            if (what < 4) t.submit("k" + std::to_string(below(4)), std::to_string(submitted++), seed % 2, 500ms);
            if (what == 4 && sent_tags > 0) t.confirm(1 + below(static_cast<unsigned>(sent_tags)), below(2));
            if (what == 5 && sent_tags > 0 && below(4) == 0) t.refuse(1 + below(static_cast<unsigned>(sent_tags)));
            if (what == 6 && below(5) == 0) {
                t.lose();
                open = false;
            }
            if (what == 7 && !open) {
                t.open();
                open = true;
                sent_tags = 0;
            }
            if (what == 8) t.pass(std::chrono::milliseconds(below(200)));
            if (t.window.take_action() != action::none) {
                t.lose();
                open = false;
            }
            send();
            ASSERT_LE(t.window.in_flight(), 8u);
            ASSERT_LE(t.window.pending(), 60u);
        }
        t.pass(2s);
        ASSERT_EQ(t.settled.size(), static_cast<std::size_t>(submitted)) << "seed " << seed;
        ASSERT_EQ(t.window.pending(), 0u) << "seed " << seed;
        for (const auto& [key, numbers] : first_sends)
            ASSERT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << "seed " << seed << ", " << key;
        for (int key = 0; key < 4; ++key) ASSERT_FALSE(t.window.full("k" + std::to_string(key)));
    }
}

}  // namespace foz::amqp
