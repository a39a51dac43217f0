// Every transition of a message and of the channel.
#include "amqp/conn/tests/window_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::amqp {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(publish_window, nothing_is_sent_before_the_channel_opens_and_then_in_order) {
    table_top t;
    t.submit("", "a");
    t.submit("", "b");
    EXPECT_THAT(t.send(), IsEmpty());
    t.open();
    EXPECT_THAT(t.send(), ElementsAre(":a", ":b"));
    t.confirm(2, true);
    EXPECT_THAT(t.settled, ElementsAre("a=confirmed", "b=confirmed"));
    EXPECT_TRUE(t.window.idle());
}

TEST(publish_window, keys_take_turns_whatever_one_of_them_has_waiting) {
    table_top t({.in_flight_limit = 2});
    for (const char* body : {"1", "2", "3", "4"}) t.submit("flood", body);
    t.open();
    EXPECT_THAT(t.send(), ElementsAre("flood:1", "flood:2"));
    t.submit("quiet", "x");
    t.submit("other", "y");
    t.confirm(2, true);
    EXPECT_THAT(t.send(), ElementsAre("flood:3", "quiet:x"));
    t.confirm(4, true);
    EXPECT_THAT(t.send(), ElementsAre("other:y", "flood:4"));
}

TEST(publish_window, the_window_is_bounded_by_messages_and_by_octets_and_a_larger_message_goes_alone) {
    table_top t({.in_flight_limit = 3, .in_flight_octets_limit = 2'000});
    for (const char* body : {"1", "2", "3", "4"}) t.submit("k", body);
    t.submit("k", std::string(5'000, 'x'));
    t.submit("k", "6");
    t.open();
    EXPECT_EQ(t.send().size(), 3u);
    t.confirm(1);
    EXPECT_EQ(t.send().size(), 1u) << "a place is free, whichever message had it";
    t.confirm(3);
    EXPECT_THAT(t.send(), IsEmpty()) << "too large beside what is in flight";
    t.confirm(4, true);
    EXPECT_EQ(t.send().size(), 1u);
    EXPECT_GT(t.window.in_flight_octets(), 5'000u);
    t.confirm(5);
    EXPECT_THAT(t.send(), ElementsAre("k:6"));
}

TEST(publish_window, an_ordered_key_has_one_message_in_flight_and_the_others_go_on) {
    table_top t;
    for (const char* body : {"1", "2"}) t.submit("a", body, true);
    for (const char* body : {"3", "4"}) t.submit("b", body, true);
    t.open();
    EXPECT_THAT(t.send(), ElementsAre("a:1", "b:3"));
    t.confirm(2);
    EXPECT_THAT(t.send(), ElementsAre("b:4"));
    t.confirm(1);
    EXPECT_THAT(t.send(), ElementsAre("a:2"));
}

TEST(publish_window, what_waits_behind_an_ordered_message_has_a_deadline_of_its_own) {
    table_top t;
    for (const char* body : {"1", "2", "3", "4", "5"}) t.submit("a", body, true, 2s);
    t.pass(1'900ms);
    EXPECT_THAT(t.settled, IsEmpty());
    t.pass(200ms);
    EXPECT_THAT(t.settled, testing::UnorderedElementsAre("1=unavailable", "2=unavailable", "3=unavailable",
                                                         "4=unavailable", "5=unavailable"));
    EXPECT_TRUE(t.window.idle());
    EXPECT_EQ(t.window.counters().given_up, 5u);
}

TEST(publish_window, an_ordered_message_that_was_given_up_in_flight_lets_the_next_one_go) {
    table_top t;
    t.open();
    t.submit("a", "1", true, 1s);
    t.submit("a", "2", true);
    EXPECT_THAT(t.send(), ElementsAre("a:1"));
    t.pass(1'100ms);
    EXPECT_THAT(t.settled, ElementsAre("1=unknown"));
    EXPECT_EQ(t.window.in_flight(), 1u) << "the broker still has it to answer";
    EXPECT_THAT(t.send(), ElementsAre("a:2"));
    t.confirm(2, true);
    EXPECT_THAT(t.settled, ElementsAre("1=unknown", "2=confirmed"));
    EXPECT_TRUE(t.window.idle());
}

TEST(publish_window, a_loss_sends_again_what_was_in_flight_first_and_in_order) {
    table_top t({.in_flight_limit = 2});
    for (const char* body : {"1", "2", "3"}) t.submit("a", body);
    t.open();
    EXPECT_THAT(t.send(), ElementsAre("a:1", "a:2"));
    t.submit("b", "4");
    t.lose();
    EXPECT_THAT(t.send(), IsEmpty());
    EXPECT_EQ(t.window.in_flight(), 0u);
    t.open();
    EXPECT_THAT(t.send(), ElementsAre("a:1", "a:2"));
    EXPECT_EQ(t.window.counters().repeated, 2u);
    t.lose();  // once more, in the middle of it
    t.open();
    EXPECT_THAT(t.send(), ElementsAre("a:1", "a:2"));
    t.confirm(1);
    t.confirm(2);
    EXPECT_THAT(t.send(), ElementsAre("a:3", "b:4"));
}

TEST(publish_window, what_expires_while_it_waits_to_be_sent_again_is_unknown) {
    table_top t;
    t.open();
    t.submit("a", "sent", false, 1s);
    t.send();
    t.lose();
    t.submit("a", "never sent", false, 1s);
    t.pass(1'200ms);
    EXPECT_THAT(t.settled, testing::UnorderedElementsAre("sent=unknown", "never sent=unavailable"));
    t.open();
    EXPECT_THAT(t.send(), IsEmpty());
}

TEST(publish_window, a_refusal_drains_the_window_reopens_at_once_and_then_after_pauses_that_grow) {
    table_top t;
    t.open();
    t.submit("a", "1");
    t.submit("a", "2");
    t.send();
    t.refuse(1);
    t.submit("a", "3");
    EXPECT_THAT(t.send(), IsEmpty()) << "draining";
    EXPECT_EQ(t.window.take_action(), action::none) << "2 is not answered";
    t.confirm(2);
    EXPECT_EQ(t.window.take_action(), action::reopen_refused);
    for (const auto pause : {20ms, 40ms, 80ms, 160ms, 250ms, 250ms}) {
        t.lose();
        t.open();
        EXPECT_THAT(t.send(), testing::Contains("a:1"));
        t.refuse(1);
        t.confirm(2);
        EXPECT_EQ(t.window.take_action(), action::none);
        EXPECT_LE(t.window.next_tick(t.now), 100ms);
        EXPECT_EQ(t.pass(pause - 1ms), action::none) << pause.count();
        EXPECT_EQ(t.pass(1ms), action::reopen_refused) << pause.count();
    }
    EXPECT_EQ(t.window.counters().reopened, 7u);
    EXPECT_EQ(t.window.counters().reopened_late, 0u);
    EXPECT_THAT(t.settled, ElementsAre("2=confirmed", "3=confirmed"));
}

TEST(publish_window, what_is_refused_for_longer_than_the_patience_is_rejected) {
    table_top t({.refusal_patience = 200ms});
    t.open();
    t.submit("a", "1", true);
    t.submit("a", "2", true);
    t.send();
    t.refuse(1);
    ASSERT_EQ(t.window.take_action(), action::reopen_refused);
    t.lose();
    t.open();
    t.send();
    t.pass(250ms);
    t.refuse(1);
    EXPECT_THAT(t.settled, ElementsAre("1=rejected"));
    EXPECT_THAT(t.send(), ElementsAre("a:2"));
}

TEST(publish_window, what_was_refused_and_expires_in_the_pause_is_rejected) {
    table_top t;
    t.open();
    t.submit("a", "1", false, 150ms);
    t.send();
    for (int i = 0; i < 2; ++i) {
        t.refuse(1);
        t.pass(0ms);
        t.lose();
        if (i == 0) {
            t.open();
            t.send();
        }
    }
    t.pass(300ms);
    EXPECT_THAT(t.settled, ElementsAre("1=rejected"));
}

TEST(publish_window, a_returned_message_is_unroutable_and_its_twins_follow_one_by_one) {
    table_top t;
    t.open();
    for (int i = 0; i < 3; ++i) t.submit("q", "same");
    t.send();
    basic_return back;
    back.routing_key = "q";
    t.window.returned(back, {}, "same");
    t.window.returned(back, {}, {}, 4);
    t.window.returned(back, {}, "other");
    t.confirm(3, true);
    EXPECT_THAT(t.settled, ElementsAre("same=unroutable", "same=unroutable", "same=confirmed"));
    EXPECT_EQ(t.window.counters().returned, 3u);
}

// RabbitMQ takes connections before it has recovered its streams, and confirms what it drops meanwhile.
TEST(publish_window, what_is_returned_although_a_queue_is_declared_for_it_is_sent_again_for_a_while) {
    for (const bool recovers : {true, false}) {
        table_top t({.return_patience = 300ms});
        t.open();
        t.submit("q", "a", false, 10s, true);
        t.submit("q", "b", false, 10s, true);
        basic_return back;
        back.routing_key = "q";
        for (int returns = 0; t.settled.empty() && returns < 100; ++returns) {
            EXPECT_THAT(t.send(), ElementsAre("q:a", "q:b")) << "in order";
            if (!recovers || returns < 2) {
                t.window.returned(back, {}, "a");
                t.window.returned(back, {}, "b");
            }
            t.confirm(2, true);
            for (int i = 0; t.settled.empty() && i < 300 && t.pass(1ms) != action::reopen_refused; ++i) {
            }
            if (!t.settled.empty()) break;
            t.lose();
            t.open();
        }
        if (recovers) {
            EXPECT_THAT(t.settled, ElementsAre("a=confirmed", "b=confirmed"));
        } else {
            EXPECT_THAT(t.settled, ElementsAre("a=unroutable", "b=unroutable"));
        }
    }
}

TEST(publish_window, late_is_who_answers_nothing_at_all) {
    table_top t;
    t.open();
    for (int i = 0; i < 10; ++i) t.submit("a", std::to_string(i), false, 60s);
    t.send();
    // One confirm every 2.9 s: the last message is 29 s old and nobody is late.
    for (std::uint64_t i = 1; i <= 9; ++i) {
        EXPECT_EQ(t.pass(2'900ms), action::none);
        t.confirm(i);
    }
    EXPECT_EQ(t.pass(2'900ms), action::none);
    EXPECT_EQ(t.pass(100ms), action::reopen_late);
    EXPECT_EQ(t.window.counters().reopened_late, 1u);
    EXPECT_EQ(t.window.counters().repeated, 0u);
}

TEST(publish_window, idle_time_before_a_publish_is_not_lateness) {
    table_top t;
    t.open();
    EXPECT_EQ(t.pass(60s), action::none);
    t.submit("a", "1");
    t.send();
    EXPECT_EQ(t.pass(2'900ms), action::none);
    EXPECT_EQ(t.pass(100ms), action::reopen_late);
}

TEST(publish_window, what_was_given_up_in_flight_still_shows_that_the_broker_is_silent) {
    table_top t;
    t.open();
    t.submit("a", "1", false, 1s);
    t.send();
    EXPECT_EQ(t.pass(1'100ms), action::none);
    EXPECT_THAT(t.settled, ElementsAre("1=unknown"));
    EXPECT_EQ(t.pass(2s), action::reopen_late);
}

TEST(publish_window, a_fresh_channel_that_is_silent_too_costs_the_connection_and_patience_grows) {
    table_top t;
    t.open();
    t.submit("a", "1", false, 600s);
    t.send();
    EXPECT_EQ(t.pass(3s), action::reopen_late);
    for (const auto patience : {1'500ms, 3'000ms, 6'000ms, 12'000ms, 24'000ms, 24'000ms}) {
        t.lose();
        t.open();
        EXPECT_THAT(t.send(), ElementsAre("a:1"));
        EXPECT_EQ(t.pass(patience - 1ms), action::none) << patience.count();
        EXPECT_EQ(t.pass(1ms), action::next_url) << patience.count();
    }
    EXPECT_EQ(t.window.counters().reopened_late, 1u);
    EXPECT_EQ(t.window.counters().moved_on, 6u);
    t.lose();
    t.open();
    t.send();
    t.confirm(1);
    t.submit("a", "2");
    t.send();
    EXPECT_EQ(t.pass(3s), action::reopen_late) << "an answer makes it begin again";
}

TEST(publish_window, a_fresh_channel_that_does_not_even_open_costs_the_connection) {
    table_top t;
    t.open();
    t.submit("a", "1", false, 60s);
    t.send();
    EXPECT_EQ(t.pass(3s), action::reopen_late);
    t.lose();
    EXPECT_EQ(t.pass(1'400ms), action::none);
    EXPECT_EQ(t.pass(100ms), action::next_url);
}

TEST(publish_window, a_channel_that_was_lost_otherwise_is_not_hurried) {
    table_top t;
    t.open();
    t.submit("a", "1", false, 60s);
    t.send();
    t.lose();
    EXPECT_EQ(t.pass(30s), action::none);
}

TEST(publish_window, while_the_broker_blocks_nothing_is_sent_and_nobody_is_late) {
    table_top t;
    t.open();
    t.submit("a", "1", false, 60s);
    t.send();
    t.window.blocked(true, t.now);
    t.submit("a", "2", false, 60s);
    EXPECT_THAT(t.send(), IsEmpty());
    EXPECT_EQ(t.pass(20s), action::none);
    t.window.blocked(false, t.now);
    EXPECT_THAT(t.send(), ElementsAre("a:2"));
    EXPECT_EQ(t.pass(2'900ms), action::none) << "counted from the end of it";
    EXPECT_EQ(t.pass(100ms), action::reopen_late);
}

}  // namespace foz::amqp
