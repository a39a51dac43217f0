// Every way in which a stream can be read on, and what shows that it is another one.
#include "stream_cursor_fixture.hpp"

namespace foz::contract {

TEST(stream_cursor, its_place_is_an_argument_of_consume) {
    const auto argument = [](const attach_at& where) {
        const amqp::table arguments = stream_arguments(where);
        return *arguments.find("x-stream-offset");
    };
    EXPECT_EQ(argument({.what = attach_at::kind::first}), amqp::field_value("first"));
    EXPECT_EQ(argument(next), amqp::field_value("next"));
    EXPECT_EQ(argument(at(5)), amqp::field_value(std::int64_t{5}));
    EXPECT_EQ(argument(at(UINT64_MAX)), amqp::field_value(INT64_MAX)) << "never a negative one";
    EXPECT_EQ(argument({.what = attach_at::kind::time, .value = 7}), amqp::field_value(amqp::timestamp{7}));
}

TEST(stream_cursor, a_live_one_begins_at_its_marker) {
    reading r(live());
    r.from.say_many(3);
    r.start();
    EXPECT_EQ(r.attached_at, std::vector{next});
    EXPECT_EQ(r.caught_up, 1);
    EXPECT_EQ(r.skipped, (std::vector{std::pair(std::uint64_t{3}, cause::marker)})) << "the marker has its place";
    r.from.say_many(2);
    r.run();
    EXPECT_EQ(r.heard, (offsets{4, 5}));
    EXPECT_EQ(r.cursor.last(), (stream_place{5, 6}));
    EXPECT_EQ(r.cursor.deadline(), r.now + 3s) << "a stream may be quiet, and its reader deaf";
}

TEST(stream_cursor, the_marker_of_another_one_is_an_entry_like_any_other) {
    reading r(live());
    r.takes_markers = false;
    r.start();
    r.from.say("marker.b.1");
    r.from.say("marker.ab.1");
    r.run();
    EXPECT_EQ(r.caught_up, 0);
    EXPECT_EQ(r.heard.size(), 2u);
    r.from.say("marker.a.1");
    r.run();
    EXPECT_EQ(r.caught_up, 1);
}

TEST(stream_cursor, a_lost_marker_is_published_again) {
    reading r(live());
    r.takes_markers = false;
    r.start();
    r.wait(1900ms);
    EXPECT_EQ(r.markers, 1);
    r.takes_markers = true;
    r.wait(200ms);
    EXPECT_EQ(r.markers, 2);
    EXPECT_EQ(r.caught_up, 1);
}

TEST(stream_cursor, asks_a_silent_broker_ever_more_seldom) {
    reading r(live());
    r.silent = true;
    r.start();
    r.wait(10min);
    EXPECT_EQ(r.gaps, causes{});
    EXPECT_EQ(r.caught_up, 0);
    EXPECT_LE(r.attached_at.size() + static_cast<std::size_t>(r.markers), 40u);
    EXPECT_GE(r.markers, 10);
    r.silent = false;
    r.wait(1min);
    EXPECT_EQ(r.caught_up, 1);
}

TEST(stream_cursor, goes_on_behind_what_it_read_last) {
    reading r(live());
    r.start();
    r.from.say_many(3);
    r.run();
    for (int i = 0; i < 3; ++i) {
        r.from.say_many(2);
        r.interrupt();
    }
    EXPECT_EQ(r.heard, numbers(1, 10));
    EXPECT_EQ(r.attached_at, (std::vector{next, at(3), at(5), at(7)}));
    EXPECT_EQ(r.proven, 3);
    EXPECT_EQ(r.repeated, 3);
    EXPECT_EQ(r.caught_up, 1) << "only once";
    EXPECT_EQ(r.markers, 1);
    EXPECT_EQ(r.gaps, causes{});
    r.wait(1s);
    EXPECT_EQ(r.markers, 2) << "the end was reached long ago: this one shows that it hears";
}

// A broker that is slow after an interruption: whatever was in between is there when it speaks again.
TEST(stream_cursor, ten_seconds_of_silence_after_attaching_lose_nothing) {
    for (const bool markers : {true, false}) {
        for (const auto silence : {3s, 10s, 100s}) {
            reading r(live());
            r.start();
            r.from.say_many(3);
            r.run();
            r.from.say_many(10);
            r.silent = true;
            r.takes_markers = markers;
            r.interrupt();
            r.wait(silence);
            EXPECT_EQ(r.heard.size(), 3u);
            r.silent = false;
            r.takes_markers = true;
            r.run();
            r.wait(2min);
            EXPECT_EQ(r.heard, numbers(1, 14));
            EXPECT_EQ(r.gaps, causes{});
            EXPECT_EQ(r.proven, 1);
        }
    }
}

// RabbitMQ attaches it to a replica that has ended: it gives what was there, and nothing that comes.
TEST(stream_cursor, who_hears_nothing_new_after_an_interruption_asks_again) {
    reading r(live());
    r.start();
    r.from.say_many(3);
    r.run();
    r.from.say_many(2);
    r.deaf = true;
    r.interrupt();
    EXPECT_EQ(r.heard, numbers(1, 6)) << "what was there";
    r.from.say_many(4);
    r.run();
    EXPECT_EQ(r.heard.size(), 5u);
    r.deaf = false;
    r.wait(1s);
    EXPECT_EQ(r.heard.size(), 9u);
    EXPECT_EQ(r.gaps, causes{});
    // Ever more seldom, when that is of no use.
    r.deaf = true;
    const std::size_t before = r.attached_at.size();
    r.interrupt();
    r.wait(5min);
    EXPECT_GE(r.attached_at.size() - before, 5u);
    EXPECT_LE(r.attached_at.size() - before, 14u);
}

// Its replica ends and begins anew as the leader; RabbitMQ does not always take the consumers along.
TEST(stream_cursor, who_becomes_deaf_without_an_interruption_notices) {
    reading r(live());
    r.start();
    r.from.say_many(3);
    r.run();
    r.hears_below = r.from.end;
    r.from.say_many(4);
    r.run();
    EXPECT_EQ(r.heard.size(), 3u);
    r.wait(4s);
    EXPECT_EQ(r.heard.size(), 7u);
    EXPECT_EQ(r.gaps, causes{});
}

TEST(stream_cursor, a_quiet_stream_takes_few_markers) {
    reading r(live());
    r.start();
    r.wait(24h);
    EXPECT_LE(r.markers, 24 * 60 + 5);
    EXPECT_GE(r.markers, 24 * 60 - 5);
    EXPECT_EQ(r.attached_at.size(), 1u);
    // What somebody else says is a sign of life; another reader's marker begins no quicker asking.
    const int before = r.markers;
    for (int i = 0; i < 10; ++i) {
        r.from.say("marker.b." + std::to_string(i));
        r.run();
        r.wait(50s);
    }
    EXPECT_EQ(r.markers, before);
    r.from.say_many(1);
    r.run();
    r.wait(4s);
    EXPECT_EQ(r.markers, before + 1);
}

TEST(stream_cursor, what_overtakes_the_answer_to_consume_counts) {
    reading r(live());
    r.start();
    r.from.say("one");
    r.run();
    r.cursor.lost();
    r.cursor.attaching();
    r.deliver(1, r.from.entries[1]);
    r.from.say("two");
    r.deliver(2, r.from.entries[2]);
    r.cursor.attached(r.now, r.out);
    r.take();
    EXPECT_EQ(r.heard, (offsets{1, 2}));
    EXPECT_EQ(r.cursor.deadline(), r.now + 500ms) << "proven; that it hears is to be shown";
    // Evidence, too.
    r.cursor.lost();
    r.cursor.attaching();
    r.deliver(2, {.check = 99, .id = "other"});
    EXPECT_EQ(r.gaps, causes{cause::recreated});
    r.cursor.attached(r.now, r.out);
    EXPECT_TRUE(r.out.empty() && r.again);
}

TEST(stream_cursor, offsets_have_holes) {
    reading r(live());
    r.start();
    r.from.say_many(1);
    r.from.hole();
    r.from.say_many(1);
    r.run();
    r.from.hole();
    r.from.hole();
    r.interrupt();
    r.from.say_many(1);
    r.run();
    EXPECT_EQ(r.heard, (offsets{1, 3, 6}));
    EXPECT_EQ(r.gaps, causes{});
    EXPECT_EQ(r.attached_at, (std::vector{next, at(1), at(3), at(3)})) << "each hole is asked about once";
}

TEST(stream_cursor, what_retention_takes_from_under_a_reader_is_told) {
    for (const bool live_already : {true, false}) {
        reading r(live_already ? live() : stream_cursor_options{.begin = at(0), .marker_prefix = "marker.a"});
        if (live_already) {
            r.start();
        } else {
            r.takes_markers = false;
            r.start();
        }
        r.from.say_many(4);
        r.run();
        const offsets before = r.heard;
        r.from.say_many(10);
        r.from.retain_from(9);
        r.run();
        EXPECT_EQ(r.gaps, causes{cause::retention});
        EXPECT_EQ(r.heard.size(), before.size() + (r.from.end - 9));
        EXPECT_EQ(r.heard[before.size()], 9u);
        r.from.say_many(1);
        r.run();
        EXPECT_EQ(r.gaps.size(), 1u);
    }
}

// It was there when the reader attached, and went before anything else came.
TEST(stream_cursor, a_place_that_was_kept_once_is_asked_about_again) {
    reading r(live());
    r.start();
    r.from.say_many(2);
    r.run();
    r.interrupt();
    r.from.say_many(10);
    r.from.retain_from(9);
    r.run();
    EXPECT_EQ(r.gaps, causes{cause::retention});
    EXPECT_EQ(r.heard, (offsets{1, 2, 9, 10, 11, 12}));
}

TEST(stream_cursor, what_retention_kept_is_not_skipped) {
    reading r(live());
    r.start();
    r.from.say_many(4);
    r.run();
    r.from.say_many(10);
    r.from.retain_from(9);
    r.interrupt();
    EXPECT_EQ(r.gaps, causes{cause::retention});
    EXPECT_EQ(r.heard, (offsets{1, 2, 3, 4, 9, 10, 11, 12, 13, 14}));
    EXPECT_EQ(r.proven, 1);
}

TEST(stream_cursor, another_entry_at_its_place_shows_another_stream_and_that_is_read_from_its_beginning) {
    reading r(live());
    r.start();
    r.from.say_many(3);
    r.run();
    r.from.make_anew();
    for (int i = 0; i < 8; ++i) r.from.say("new" + std::to_string(i), static_cast<std::uint32_t>(100 + i));
    r.heard.clear();
    r.interrupt();
    EXPECT_EQ(r.gaps, causes{cause::recreated});
    EXPECT_EQ(r.attached_at.back(), at(0));
    EXPECT_EQ(r.heard, numbers(0, 8));
    EXPECT_TRUE(r.history.empty());
    EXPECT_EQ(r.proven, 1);
}

TEST(stream_cursor, its_own_marker_at_a_lower_place_shows_another_stream) {
    for (const unsigned there : {0u, 1u, 3u}) {
        reading r(live());
        r.start();
        r.from.say_many(5);
        r.run();
        r.from.make_anew();
        for (unsigned i = 0; i < there; ++i) r.from.say("new" + std::to_string(i), 100 + i);
        r.heard.clear();
        r.interrupt();
        EXPECT_EQ(r.gaps, causes{}) << "silence shows nothing";
        r.wait(2s);
        EXPECT_EQ(r.gaps, causes{cause::recreated});
        EXPECT_EQ(r.heard, numbers(0, there));
        r.from.say("later", 500);
        r.run();
        EXPECT_EQ(r.heard.size(), there + 1);
    }
}

// A marker that was published while nothing was known can be late; one from before is no evidence.
TEST(stream_cursor, an_older_marker_shows_nothing) {
    reading r(live());
    r.start();
    r.from.say_many(5);
    r.run();
    r.silent = true;
    r.interrupt();
    r.takes_markers = false;
    r.wait(2s);
    ASSERT_EQ(r.attached_at.back(), next);
    EXPECT_EQ(r.markers, 2);
    r.deliver(2, {.check = 7, .id = "marker.a.1"});
    EXPECT_EQ(r.gaps, causes{});
    r.deliver(2, {.check = 7, .id = "marker.a.2"});
    EXPECT_EQ(r.gaps, causes{cause::recreated});
}

// The replica that a consumer reads may lag behind the one that it read before.
TEST(stream_cursor, entries_at_lower_places_show_nothing) {
    reading r(live());
    r.start();
    r.from.say_many(9);
    r.run();
    r.silent = true;
    r.interrupt();
    r.wait(2s);
    ASSERT_EQ(r.attached_at.back(), next);
    for (std::uint64_t offset = 4; offset < 9; ++offset) r.deliver(offset, r.from.entries[offset]);
    EXPECT_EQ(r.gaps, causes{});
    EXPECT_FALSE(r.again);
    r.deliver(9, r.from.entries[9]);
    EXPECT_EQ(r.proven, 1) << "it is there after all, and what follows is what comes next";
    r.deliver(10, {.check = 11, .id = "new"});
    EXPECT_EQ(r.heard, numbers(1, 11));
    EXPECT_EQ(r.gaps, causes{});
}

TEST(stream_cursor, another_entry_at_its_place_shows_another_stream_also_to_who_looks_for_evidence) {
    reading r(live());
    r.start();
    r.from.say_many(2);
    r.run();
    r.silent = true;
    r.interrupt();
    r.wait(2s);
    r.deliver(2, {.check = 99, .id = "other"});
    EXPECT_EQ(r.gaps, causes{cause::recreated});
    EXPECT_TRUE(r.again);
}

// A stream that lost its last entries is another one from there on; what is read once more is known by its ids.
TEST(stream_cursor, after_evidence_it_begins_so_far_back_that_what_it_heard_is_known) {
    stream_cursor_options options = live();
    options.ids_max = 100;
    options.recreated_back = 50;
    reading r(options);
    r.start();
    r.from.say_many(300);
    r.run();
    const std::size_t heard = r.heard.size();
    r.from.entries.erase(r.from.entries.lower_bound(280), r.from.entries.end());
    r.from.end = 280;
    r.interrupt();
    r.wait(1min);
    EXPECT_EQ(r.gaps, causes{cause::recreated});
    EXPECT_EQ(r.heard.size(), heard);
    r.from.say("new", 999);
    r.run();
    EXPECT_EQ(r.heard.size(), heard + 1);
}

TEST(stream_cursor, who_is_said_twice_is_heard_once) {
    reading r(live());
    r.start();
    r.from.say("a");
    r.from.say("a");
    r.from.say("");
    r.from.say("");
    r.from.entries[r.from.say("a")].repeatable = false;
    r.run();
    EXPECT_EQ(r.heard, (offsets{1, 3, 4, 5}));
    EXPECT_EQ(r.duplicates, (offsets{2}));
    EXPECT_EQ(r.cursor.last()->offset, 5u);
    // Also when an interruption was in between, and the duplicate was what it read last.
    r.from.say("a");
    r.run();
    r.interrupt();
    EXPECT_EQ(r.duplicates, (offsets{2, 6}));
    EXPECT_EQ(r.proven, 1);
}

TEST(stream_cursor, what_is_too_large_has_its_place) {
    reading r(live());
    r.start();
    r.from.say("a");
    r.from.entries[r.from.say("b")].too_large = true;
    r.from.say("c");
    r.run();
    EXPECT_EQ(r.heard, (offsets{1, 3}));
    EXPECT_EQ(r.skipped.back(), std::pair(std::uint64_t{2}, cause::too_large));
    EXPECT_EQ(r.gaps, causes{});
}

TEST(stream_cursor, two_that_read_one_stream_do_not_disturb_each_other) {
    reading a(live(5)), b({.begin = next, .marker_prefix = "marker.b", .history_entries = 5});
    a.from.say_many(20);
    a.attach();
    a.run();
    b.from = a.from;
    b.attach();
    b.run();
    EXPECT_EQ(b.history, (offsets{16, 17, 18, 19, 20})) << "the other's marker among them";
    EXPECT_EQ(a.caught_up + b.caught_up, 2);
    a.from = b.from;
    a.run();
    EXPECT_EQ(a.heard, (offsets{21})) << "the other's marker";
}

TEST(id_window, remembers_as_many_as_it_was_told) {
    id_window recent(2);
    EXPECT_TRUE(recent.insert("a"));
    EXPECT_TRUE(recent.insert("b"));
    EXPECT_FALSE(recent.insert("a"));
    EXPECT_TRUE(recent.insert("c"));  // "a" is forgotten
    EXPECT_FALSE(recent.insert("b"));
    EXPECT_TRUE(recent.insert("a"));
    id_window none(0);
    EXPECT_TRUE(none.insert("a"));
    EXPECT_TRUE(none.insert("a"));
}

}  // namespace foz::contract
