// Each transition of a resume, one test each.
#include "aggregator/channel/resume_cursor.hpp"

#include <set>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using action = resume_cursor::action;
using state = resume_cursor::state;
using kind = envelope::resume_from::kind;

envelope::position place(std::uint64_t offset, std::uint32_t check = 7) {
    return {.offset = offset, .check = check};
}

entry_ref at(std::uint64_t offset, std::uint64_t timestamp_s = 0, std::uint32_t check = 7) {
    auto made = std::make_shared<entry>();
    made->where = place(offset, check);
    made->timestamp_s = timestamp_s;
    return made;
}

envelope::resume_from from(std::uint64_t offset, std::uint32_t check = 7) {
    return {.what = kind::at, .where = place(offset, check)};
}

// A cursor on a ring; run() goes on until something but an entry is to be done, and collects the entries.
struct walk {
    explicit walk(const envelope::resume_from& where, std::size_t entries_max = 1000) : cursor(where, entries_max) {}

    walk& ring(std::initializer_list<std::uint64_t> offsets) {
        for (const auto offset : offsets) recent.push(at(offset));
        return *this;
    }
    resume_cursor::step run(std::size_t budget = 1000) {
        for (;;) {
            const std::optional<envelope::position> head = recent.empty() ? std::nullopt : recent.back().where;
            auto step = cursor.next(recent, head, {}, budget);
            if (step.what == action::deliver) {
                heard.push_back(step.item->where->offset);
            } else if (step.what != action::pause || budget == 0) {
                return step;
            }
        }
    }
    void page_of(std::initializer_list<std::uint64_t> offsets, bool last = false,
                 std::optional<envelope::gap_cause> gap = {}, std::uint32_t check = 7) {
        auto entries = std::make_shared<std::vector<entry_ref>>();
        for (const auto offset : offsets) entries->push_back(at(offset, 0, check));
        cursor.take({.entries = std::move(entries), .begin = 0, .gap = gap, .last = last});
    }
    std::vector<std::uint64_t> take() { return std::exchange(heard, {}); }

    resume_cursor cursor;
    recent_entries recent{1 << 20};
    std::vector<std::uint64_t> heard;
};

using offsets = std::vector<std::uint64_t>;

}  // namespace

TEST(resume_cursor, begins_in_the_ring_behind_its_place) {
    walk w(from(4));
    EXPECT_EQ(w.ring({3, 4, 6, 9}).run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{6, 9})) << "offsets have holes";
    EXPECT_EQ(w.cursor.now(), state::live);
    EXPECT_EQ(w.cursor.last(), place(9));
}

TEST(resume_cursor, at_the_newest_entry_nothing_is_missing) {
    walk w(from(9));
    EXPECT_EQ(w.ring({3, 9}).run().what, action::live);
    EXPECT_TRUE(w.take().empty());
}

// One of the two is of the stream before: the stream says which.
TEST(resume_cursor, another_entry_at_its_place_is_asked_of_the_stream) {
    walk w(from(4, 8));
    const auto asked = w.ring({3, 4, 6}).run();
    EXPECT_EQ(asked.what, action::read);
    EXPECT_EQ(asked.from.where, from(4, 8).where);
    w.page_of({3, 4, 6}, false, envelope::gap_cause::recreated);
    const auto told = w.run();
    EXPECT_EQ(told.what, action::gap);
    EXPECT_EQ(told.cause, envelope::gap_cause::recreated);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.run().what, action::ended);
    EXPECT_TRUE(w.take().empty());
}

TEST(resume_cursor, who_is_in_a_newer_stream_than_the_ring_reads_the_stream_to_its_end_and_waits) {
    walk w(from(4, 8));
    ASSERT_EQ(w.ring({3, 4, 6}).run().what, action::read);
    w.page_of({5, 6, 7}, true);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.take(), (offsets{5, 6, 7}));
    EXPECT_EQ(w.run().what, action::wait);
    EXPECT_TRUE(w.take().empty()) << "nothing of the stream before";
}

TEST(resume_cursor, whose_place_retention_has_passed_meets_the_ring_all_the_same) {
    walk w(from(4, 8));
    ASSERT_EQ(w.ring({3, 4, 6, 9}).run().what, action::read);
    w.page_of({6, 9}, false, envelope::gap_cause::retention);
    EXPECT_EQ(w.run().what, action::gap);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{6, 9}));
}

TEST(resume_cursor, a_page_of_another_stream_does_not_meet_the_ring) {
    walk w(from(1));
    ASSERT_EQ(w.ring({5, 6, 7, 8}).run().what, action::read);
    w.page_of({2, 3, 5, 6}, true, {}, 100);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.take(), (offsets{2, 3, 5, 6}));
    EXPECT_EQ(w.run().what, action::wait);
    EXPECT_TRUE(w.take().empty());
}

// The ring of a shard that has not noticed the new stream yet may begin exactly where the last page ends.
TEST(resume_cursor, a_ring_that_only_continues_the_offsets_of_the_last_page_is_no_continuation) {
    walk w(from(2, 100));
    ASSERT_EQ(w.ring({5, 6}).run().what, action::read);
    w.page_of({3, 4}, true, {}, 100);
    EXPECT_EQ(w.run().what, action::page_done);
    const auto again = w.run();
    EXPECT_EQ(again.what, action::read);
    EXPECT_EQ(again.from.where, place(4, 100));
    EXPECT_EQ(w.take(), (offsets{3, 4}));
    w.page_of({5}, true, {}, 100);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.run().what, action::wait) << "now they differ";
    EXPECT_EQ(w.take(), (offsets{5}));
}

TEST(resume_cursor, entries_of_the_stream_before_that_come_while_it_waits_are_not_its_own) {
    walk w(from(2, 100));
    ASSERT_EQ(w.ring({1}).run().what, action::read);
    w.page_of({3, 4}, true, {}, 100);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.run().what, action::wait);
    EXPECT_EQ(w.ring({3, 4, 5, 6}).run().what, action::wait);
    EXPECT_EQ(w.take(), (offsets{3, 4}));
}

// This shard's reader may be behind the aggregator where the client was.
TEST(resume_cursor, a_place_behind_the_newest_entry_is_no_evidence) {
    walk w(from(20));
    const auto step = w.ring({3, 4}).run();
    EXPECT_EQ(step.what, action::read);
    EXPECT_EQ(step.from.where, place(20));
}

TEST(resume_cursor, a_place_in_a_hole_of_the_ring_is_asked_of_the_stream) {
    walk w(from(5));
    EXPECT_EQ(w.ring({3, 4, 6}).run().what, action::read);
}

TEST(resume_cursor, an_empty_ring_is_no_answer) {
    walk w(from(5));
    EXPECT_EQ(w.run().what, action::read);
    EXPECT_EQ(w.run().what, action::wait);
    EXPECT_EQ(w.cursor.now(), state::awaits_page);
}

TEST(resume_cursor, pages_lead_to_the_ring_and_each_is_answered) {
    walk w(from(1));
    w.ring({10, 11});
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({2, 3});
    auto done = w.run();
    EXPECT_EQ(done.what, action::page_done);
    EXPECT_TRUE(done.more);
    EXPECT_EQ(w.take(), (offsets{2, 3}));
    EXPECT_EQ(w.run().what, action::wait);
    w.page_of({5, 10, 11});
    done = w.run();
    EXPECT_EQ(done.what, action::page_done);
    EXPECT_FALSE(done.more) << "the ring has the rest";
    EXPECT_EQ(w.take(), (offsets{5}));
    EXPECT_EQ(w.run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{10, 11}));
}

TEST(resume_cursor, the_last_page_ends_in_the_ring) {
    walk w({.what = kind::first});
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({1, 2}, true);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{1, 2}));
}

TEST(resume_cursor, when_the_stream_has_nothing_what_comes_next_is_in_the_ring) {
    walk w({.what = kind::since, .since_ms = 50'000});
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({}, true);
    EXPECT_EQ(w.run().what, action::page_done);
    w.recent.push(at(7, 60));
    EXPECT_EQ(w.run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{7}));
}

// Otherwise it would hear again what it has heard on another aggregator.
TEST(resume_cursor, a_client_that_is_ahead_waits_for_the_channel) {
    walk w(from(20));
    ASSERT_EQ(w.ring({3, 4}).run().what, action::read);
    w.page_of({21}, true);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.run().what, action::wait);
    EXPECT_EQ(w.ring({5}).run().what, action::wait);
    EXPECT_EQ(w.ring({20, 21, 22}).run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{21, 22}));
}

TEST(resume_cursor, what_lies_between_the_last_page_and_the_ring_is_asked_for) {
    walk w({.what = kind::first});
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({1, 2}, true);
    EXPECT_EQ(w.run().what, action::page_done);
    const auto step = w.ring({4}).run();
    EXPECT_EQ(step.what, action::read) << "3 may be a hole, or may have left the ring already";
    EXPECT_EQ(step.from.where, place(2));
}

TEST(resume_cursor, an_entry_that_comes_after_the_last_page_is_in_the_ring) {
    walk w({.what = kind::first});
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({1, 2}, true);
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.ring({2, 3}).run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{1, 2, 3}));
}

TEST(resume_cursor, a_pages_gap_is_told_before_its_entries) {
    walk w(from(1));
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({8, 9}, false, envelope::gap_cause::retention);
    const auto told = w.run();
    EXPECT_EQ(told.what, action::gap);
    EXPECT_EQ(told.cause, envelope::gap_cause::retention);
    EXPECT_EQ(told.where, place(8));
    EXPECT_TRUE(w.take().empty());
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.take(), (offsets{8, 9}));
}

TEST(resume_cursor, a_stream_that_was_made_anew_ends_it_and_its_page_is_answered) {
    walk w(from(1));
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({8}, false, envelope::gap_cause::recreated);
    EXPECT_EQ(w.run().what, action::gap);
    const auto done = w.run();
    EXPECT_EQ(done.what, action::page_done);
    EXPECT_FALSE(done.more);
    EXPECT_EQ(w.run().what, action::ended);
    EXPECT_TRUE(w.take().empty());
}

TEST(resume_cursor, when_the_ring_moves_on_the_stream_has_what_is_missing) {
    walk w(from(1));
    w.ring({1, 2, 3});
    EXPECT_EQ(w.run(1).what, action::pause);
    EXPECT_EQ(w.take(), (offsets{2}));
    (void)w.recent.release();
    w.ring({7, 8});
    const auto step = w.run();
    EXPECT_EQ(step.what, action::read);
    EXPECT_EQ(step.from.what, kind::at);
    EXPECT_EQ(step.from.where, place(2));
}

TEST(resume_cursor, from_a_time_begins_in_the_ring_when_the_ring_is_older) {
    walk w({.what = kind::since, .since_ms = 50'000});
    w.recent.push(at(1, 40));
    w.recent.push(at(2, 0));
    w.recent.push(at(3, 50));
    w.recent.push(at(4, 0));
    EXPECT_EQ(w.run().what, action::live);
    EXPECT_EQ(w.take(), (offsets{3, 4})) << "what names no time was said about when the one before was";
}

TEST(resume_cursor, from_a_time_before_the_ring_asks_the_stream) {
    walk w({.what = kind::since, .since_ms = 50'000});
    w.recent.push(at(1, 60));
    EXPECT_EQ(w.run().what, action::read);
}

TEST(resume_cursor, what_is_too_far_back_ends_with_a_gap) {
    walk w(from(1), 3);
    const auto told = w.ring({1, 2, 3, 4, 5, 6}).run();
    EXPECT_EQ(told.what, action::gap);
    EXPECT_EQ(told.cause, envelope::gap_cause::too_far);
    EXPECT_EQ(told.where, place(6));
    EXPECT_EQ(w.take(), (offsets{2, 3, 4}));
    EXPECT_EQ(w.run().what, action::ended);
}

TEST(resume_cursor, looks_at_no_more_than_its_budget) {
    walk w({.what = kind::since, .since_ms = 50'000});
    for (std::uint64_t i = 1; i <= 10; ++i) w.recent.push(at(i, 40));
    EXPECT_EQ(w.run(4).what, action::pause);
    EXPECT_EQ(w.run(4).what, action::pause);
    EXPECT_EQ(w.cursor.last(), place(8)) << "entries that are not wanted count as well";
    EXPECT_EQ(w.run(4).what, action::live);
}

// Of many entries a few are for this session, and only these are looked at.
TEST(resume_cursor, what_the_index_leaves_out_is_passed_over) {
    const std::set<std::string> groups{"team"};
    const resume_cursor::listener who{.is = {.client = "a", .session = "s"}, .groups = &groups};
    recent_entries recent(1 << 20);
    std::vector<std::uint64_t> wanted;
    for (std::uint64_t i = 1; i <= 1'000; ++i) {
        auto made = std::make_shared<entry>(*at(i));
        made->routes.push_back({envelope::via::multicast, {i % 100 == 0 ? "team" : "others"}, nullptr});
        made->routes.back().head = std::make_shared<const std::string>("x");
        recent.push(made);
        if (i % 100 == 0 && i > 150) wanted.push_back(i);
    }
    resume_cursor cursor(from(150), 10'000);
    std::vector<std::uint64_t> heard;
    std::size_t looked_at = 0;
    for (;;) {
        std::size_t budget = 1;
        const auto step = cursor.next(recent, recent.back().where, who, budget);
        ++looked_at;
        if (step.what == action::deliver) {
            heard.push_back(step.item->where->offset);
        } else if (step.what == action::live) {
            break;
        }
        ASSERT_LT(looked_at, 2'000u);
    }
    std::erase_if(heard, [](std::uint64_t offset) { return offset % 100 != 0; });  // the last block has no index yet
    EXPECT_EQ(heard, wanted);
    EXPECT_LT(looked_at, 300u);
    EXPECT_EQ(cursor.last(), place(1'000));
}

TEST(resume_cursor, entries_for_others_count_for_a_session_that_is_far_behind) {
    const std::set<std::string> none;
    const resume_cursor::listener who{.is = {.client = "a", .session = "s"}, .groups = &none};
    recent_entries recent(1 << 20);
    for (std::uint64_t i = 1; i <= 1'000; ++i) recent.push(at(i));
    resume_cursor cursor(from(1), 500);
    for (;;) {
        std::size_t budget = 100;
        const auto step = cursor.next(recent, recent.back().where, who, budget);
        ASSERT_NE(step.what, action::live);
        if (step.what != action::gap) continue;
        EXPECT_EQ(step.cause, envelope::gap_cause::too_far);
        break;
    }
}

TEST(resume_cursor, a_page_is_read_within_the_budget_too) {
    walk w({.what = kind::first});
    ASSERT_EQ(w.run().what, action::read);
    w.page_of({1, 2, 3}, true);
    EXPECT_EQ(w.run(2).what, action::pause);
    EXPECT_EQ(w.take(), (offsets{1, 2}));
    EXPECT_EQ(w.run().what, action::page_done);
    EXPECT_EQ(w.take(), (offsets{3}));
}

}  // namespace foz::aggregator
