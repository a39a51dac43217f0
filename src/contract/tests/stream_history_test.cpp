// What was said before a cursor began: before the end, before a place, since a time.
#include "stream_cursor_fixture.hpp"

namespace foz::contract {

TEST(stream_cursor, history_comes_before_the_marker_and_is_no_news) {
    reading r(live(10));
    r.from.say_many(100);
    r.start();
    EXPECT_EQ(r.attached_at, (std::vector{next, at(90)}));
    EXPECT_EQ(r.history, numbers(90, 100));
    EXPECT_TRUE(r.heard.empty());
    EXPECT_EQ(r.skipped, (std::vector{std::pair(std::uint64_t{100}, cause::marker)}));
    EXPECT_EQ(r.caught_up, 1);
    EXPECT_EQ(r.markers, 1);
    EXPECT_EQ(r.proven, 0);
    r.from.say("m95");
    r.from.say("new");
    r.run();
    EXPECT_EQ(r.duplicates, (offsets{101})) << "the window knows the history";
    EXPECT_EQ(r.heard, (offsets{102}));
}

TEST(stream_cursor, history_of_a_young_stream_is_all_of_it) {
    reading empty(live(10));
    empty.start();
    EXPECT_EQ(empty.caught_up, 1);
    reading young(live(10));
    young.from.say_many(4);
    young.start();
    EXPECT_EQ(young.history, numbers(0, 4));
    EXPECT_EQ(young.caught_up, 1);
}

// What comes while the history is read is live.
TEST(stream_cursor, between_history_and_live_is_no_gap) {
    reading r(live(10));
    r.from.say_many(100);
    r.attach();
    r.from.say_many(5);
    r.run();
    EXPECT_EQ(r.history, numbers(90, 100));
    EXPECT_EQ(r.heard, numbers(101, 106));
    EXPECT_EQ(r.caught_up, 1);
}

TEST(stream_cursor, an_interruption_within_the_history_goes_on_there) {
    reading r(live(10));
    r.from.say_many(100);
    r.attach();
    r.run();
    reading cut(live(10));
    cut.from.say_many(100);
    cut.attach();
    cut.deliver(100, cut.from.entries[100]);  // the marker
    ASSERT_TRUE(cut.again);
    cut.again = false;
    cut.attach();
    for (std::uint64_t offset = 90; offset < 95; ++offset) cut.deliver(offset, cut.from.entries[offset]);
    cut.interrupt();
    EXPECT_EQ(cut.attached_at.back(), at(94));
    EXPECT_EQ(cut.history, r.history);
    EXPECT_EQ(cut.caught_up, 1);
    EXPECT_EQ(cut.markers, 1) << "where the end is, is known";
}

TEST(stream_cursor, a_marker_that_retention_took_is_passed) {
    reading r(live(10));
    r.from.say_many(100);
    r.attach();
    r.from.say_many(20);
    r.deliver(100, r.from.entries[100]);
    r.from.retain_from(110);
    r.run();
    EXPECT_EQ(r.caught_up, 1);
    EXPECT_TRUE(r.history.empty());
    EXPECT_EQ(r.heard, numbers(110, 121));
}

TEST(stream_cursor, history_that_costs_too_much_is_begun_nearer_to_the_end) {
    stream_cursor_options options = live(1000);
    options.history_octets_max = 1000;
    reading r(options);
    r.octets = 100;
    r.from.say_many(2000);
    r.start();
    EXPECT_GE(r.restarted, 2);
    EXPECT_LE(r.restarted, 5);
    EXPECT_EQ(r.caught_up, 1);
    EXPECT_GE(r.history.size(), 5u) << "half of what the budget is good for";
    EXPECT_EQ(r.history, numbers(2000 - r.history.size(), 2000)) << "what was given last leads to the end";
    EXPECT_TRUE(r.heard.empty());
    EXPECT_EQ(r.gaps, causes{});
}

TEST(stream_cursor, history_that_takes_too_long_is_begun_nearer_to_the_end) {
    stream_cursor_options options = live(1000);
    options.history_time_max = 1s;
    reading r(options);
    r.from.say_many(2000);
    r.attach();
    r.deliver(2000, r.from.entries[2000]);
    r.again = false;
    r.attach();
    r.deliver(1000, r.from.entries[1000]);
    r.now += 1100ms;
    r.deliver(1001, r.from.entries[1001]);
    EXPECT_EQ(r.restarted, 1);
    r.run();
    EXPECT_EQ(r.attached_at.back(), at(2000 - 249));
    EXPECT_EQ(r.history, numbers(1751, 2000));
    EXPECT_EQ(r.caught_up, 1);
}

// A follower of a service: all since a time is news, and at the marker it has caught up.
TEST(stream_cursor, a_follower_begins_at_a_time) {
    const attach_at time{.what = attach_at::kind::time, .value = 1000};
    reading r({.begin = time, .marker_prefix = "marker.a"});
    r.from.say_many(5);
    r.start();
    EXPECT_EQ(r.attached_at, std::vector{time});
    EXPECT_EQ(r.heard, numbers(0, 5));
    EXPECT_EQ(r.caught_up, 1);
    r.from.make_anew();
    r.from.say("new", 50);
    r.interrupt();
    r.wait(10s);
    EXPECT_EQ(r.gaps, causes{cause::recreated});
    EXPECT_EQ(r.heard.back(), 0u);
    EXPECT_EQ(r.caught_up, 1);
}

stream_cursor_options catching_up(attach_at begin, std::uint64_t back = 3) {
    return {.begin = begin, .marker_prefix = "marker.c", .marker_at_start = false, .history_entries = back};
}

TEST(stream_cursor, catching_up_begins_before_its_place_and_ends_at_a_marker) {
    reading r(catching_up(at(50)));
    r.from.say_many(60);
    r.start();
    EXPECT_EQ(r.attached_at, std::vector{at(47)});
    EXPECT_EQ(r.history, numbers(47, 50));
    EXPECT_EQ(r.heard, numbers(50, 60));
    EXPECT_EQ(r.markers, 0) << "mostly somebody else knows the end";
    r.wait(3s);
    EXPECT_EQ(r.markers, 1);
    r.run();
    EXPECT_EQ(r.caught_up, 1);
    EXPECT_EQ(r.attached_at.size(), 1u);
}

TEST(stream_cursor, catching_up_from_a_time_reads_back_too) {
    const attach_at time{.what = attach_at::kind::time, .value = 1000};
    reading r(catching_up(time));
    r.from.say_many(60);
    r.attach();
    r.position = 40;  // what the broker makes of the time
    r.run();
    EXPECT_EQ(r.attached_at, (std::vector{time, at(37)}));
    EXPECT_EQ(r.history, numbers(37, 40));
    EXPECT_EQ(r.heard, numbers(40, 60));
}

TEST(stream_cursor, catching_up_above_the_end_is_shown_by_a_marker) {
    reading r(catching_up(at(5000)));
    r.from.say_many(60);
    r.start();
    EXPECT_EQ(r.gaps, causes{});
    r.wait(2s);
    EXPECT_EQ(r.gaps, causes{cause::recreated});
}

TEST(stream_cursor, catching_up_keeps_asking_a_slow_broker) {
    reading r(catching_up(at(50)));
    r.from.say_many(60);
    r.silent = true;
    r.start();
    r.wait(20s);
    EXPECT_EQ(r.gaps, causes{});
    r.silent = false;
    r.run();
    r.wait(2min);
    EXPECT_EQ(r.heard, numbers(50, 60));
    EXPECT_EQ(r.gaps, causes{});
}

// Whoever keeps the broker from sending for a while has not heard silence.
TEST(stream_cursor, silence_counts_from_when_it_listens) {
    reading r(catching_up(at(50)));
    r.from.say_many(60);
    r.start();
    r.now += 1h;
    r.cursor.listen(r.now);
    r.cursor.tick(r.now, r.out);
    EXPECT_TRUE(r.out.empty());
}

}  // namespace foz::contract
