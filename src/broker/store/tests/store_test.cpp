#include "fixture.hpp"

#include <gmock/gmock.h>

namespace foz::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr queue_number queue = 7;

// What was committed is there after a kill, what was removed is not, positions go on.
TEST(store, survives_a_kill) {
    const temporary_folder folder;
    const temporary_folder copy;
    {
        life first(folder.path());
        first.disk->put_definition("q", "a queue");
        const auto log = first.disk->open(queue, true);
        for (position at = 0; at < 5; ++at) log->put(make_entry(at, "m" + std::to_string(at)));
        first.commit();
        log->remove(make_entry(1, "m1"));
        first.commit();
        copy_folder(folder.path(), copy.path());
    }
    life second(copy.path());
    EXPECT_FALSE(second.disk->was_clean());
    std::string definition;
    second.disk->definitions([&](std::string_view key, std::string_view value) {
        EXPECT_EQ(key, "q");
        definition = value;
    });
    EXPECT_EQ(definition, "a queue");
    const auto log = second.disk->open(queue, true);
    EXPECT_EQ(log->summary().count, 4U);
    EXPECT_EQ(log->summary().next, 5U);
    EXPECT_EQ(log->summary().last_ms, 1'004);
    EXPECT_THAT(bodies(*log), ElementsAre("m0", "m2", "m3", "m4"));
}

// After a kill everything may have been delivered; after an end in good order only what was, also the next time.
TEST(store, knows_what_was_delivered) {
    const temporary_folder folder;
    const temporary_folder copy;
    {
        life first(folder.path());
        EXPECT_TRUE(first.disk->was_clean());
        const auto log = first.disk->open(queue, true);
        for (position at = 0; at < 3; ++at) log->put(make_entry(at, "m"));
        log->delivered(0);
        first.commit();
        copy_folder(folder.path(), copy.path());
    }
    {
        life clean(folder.path());
        EXPECT_TRUE(clean.disk->was_clean());
        EXPECT_EQ(clean.disk->open(queue, true)->summary().delivered_end, 1U);
    }
    {
        life unclean(copy.path());
        EXPECT_FALSE(unclean.disk->was_clean());
        EXPECT_EQ(unclean.disk->open(queue, true)->summary().delivered_end, 3U);
    }
    life after(copy.path());
    EXPECT_TRUE(after.disk->was_clean());
    EXPECT_EQ(after.disk->open(queue, true)->summary().delivered_end, 3U);
}

// That the store is in use is on disk before anybody can use it.
TEST(store, is_not_clean_from_the_first_moment) {
    const temporary_folder folder;
    const temporary_folder copy;
    {
        life(folder.path()).disk->open(queue, true)->put(make_entry(0, "m"));
    }
    const life second(folder.path());
    copy_folder(folder.path(), copy.path());
    EXPECT_TRUE(second.disk->was_clean());
    EXPECT_FALSE(life(copy.path()).disk->was_clean());
}

// Transient entries that were paged out do not come back, are not counted, and their records go.
TEST(store, forgets_transient_entries) {
    const temporary_folder folder;
    {
        life first(folder.path());
        const auto log = first.disk->open(queue, true);
        for (position at = 0; at < 6; ++at) log->put(make_entry(at, "m" + std::to_string(at), at % 2 == 1));
        first.commit();
        EXPECT_THAT(bodies(*log), SizeIs(6));
        log->remove(make_entry(1, "m1", true));
    }
    {
        life second(folder.path());
        const auto log = second.disk->open(queue, true);
        EXPECT_EQ(log->summary().count, 3U);
        EXPECT_EQ(log->summary().bytes, 6U);
        EXPECT_THAT(bodies(*log), ElementsAre("m0", "m2", "m4"));
        for (const position at : {0, 2, 4}) log->remove(make_entry(at, "m0"));
        log->put(make_entry(6, "new", true));
        second.commit();
        EXPECT_THAT(bodies(*log), ElementsAre("new"));
    }
    const auto records = open_sqlite(folder.path());
    EXPECT_TRUE(records->look()->get(table::logs, number_key(queue)));
    const auto look = records->look();
    const auto left = look->at_or_after(table::places, place_key(queue, 0));
    ASSERT_TRUE(left);
    EXPECT_EQ(read_place_key(left->key)->first, 6U);
}

// Nobody waits for the disk because of messages that need not survive.
TEST(store, syncs_only_for_what_survives) {
    struct recorder final : engine {
        explicit recorder(std::vector<bool>& to) : durable(to) {}
        std::expected<bool, disk_error> apply(const batch& what) override {
            durable.push_back(what.durable);
            return false;
        }
        std::expected<read_entries, disk_error> read(queue_number, position from, const read_limits&) override {
            return read_entries{.end = from};
        }
        std::expected<std::size_t, disk_error> definitions(
            const std::function<void(std::string_view, std::string_view)>&) override {
            return 0;
        }
        std::expected<std::size_t, disk_error> logs(
            const std::function<void(queue_number, const recovered_log&)>&) override {
            return 0;
        }
        std::vector<bool>& durable;
    };
    std::vector<bool> durable;
    {
        life only(std::make_unique<recorder>(durable));
        const auto log = only.disk->open(queue, true);
        log->put(make_entry(0, "m", true));
        only.commit();
        log->put(make_entry(1, "m"));
        only.commit();
        log->remove(make_entry(1, "m"));
        log->delivered(1);
        only.commit();
        log->put(make_entry(2, "m"));  // taken and acknowledged before it was written
        log->remove(make_entry(2, "m"));
        only.commit();
        only.disk->put_definition("q", "");
        only.commit();
    }
    EXPECT_THAT(durable, ElementsAre(false, true, false, false, true, true));  // the last one: the end
}

// Entries that are not written yet are read too, each once, in order.
TEST(store, reads_what_is_on_its_way) {
    const temporary_folder folder;
    life only(folder.path());
    const auto log = only.disk->open(queue, true);
    log->put(make_entry(0, "disk"));
    only.commit();
    log->put(make_entry(1, "being written"));
    ASSERT_TRUE(only.shard.run_one());  // seals the batch
    log->put(make_entry(2, "gone"));
    log->put(make_entry(3, "open"));
    log->remove(make_entry(2, "gone"));
    EXPECT_THAT(bodies(*log, 0, 1), ElementsAre("disk", "being written", "open"));
    only.commit();
    EXPECT_THAT(bodies(*log, 1), ElementsAre("being written", "open"));
}

// How often an entry came back survives, whatever happens to its neighbours.
TEST(store, counts_returns) {
    const temporary_folder folder;
    {
        life first(folder.path());
        const auto log = first.disk->open(queue, true);
        for (position at = 0; at < 4; ++at) log->put(make_entry(at, "m"));
        first.commit();
        log->returned(2, 1);
        log->returned(2, 2);
        log->remove(make_entry(1, "m"));
        first.commit();
        log->returned(3, 5);
    }
    life second(folder.path());
    const auto log = second.disk->open(queue, true);
    const log_page page = log->read(0, 10, 1 << 20);
    ASSERT_THAT(page.entries, SizeIs(3));
    EXPECT_EQ(page.entries[0].returns, 0U);
    EXPECT_EQ(page.entries[1].returns, 2U);
    EXPECT_EQ(page.entries[2].returns, 5U);
}

// A queue that is gone, and one that no definition names, leaves nothing, however large it was.
TEST(store, erases_whole_logs) {
    const temporary_folder folder;
    {
        life first(folder.path());
        const auto log = first.disk->open(queue, true);
        const auto other = first.disk->open(queue + 1, true);
        for (position at = 0; at < 600; ++at) {  // a chunk for each
            log->put(make_entry(at, std::string(70'000, 'x')));
            if (at % 50 == 49) first.commit();
        }
        other->put(make_entry(0, "left"));
        first.commit();
        log->erase();
    }
    life(folder.path()).disk->erase_unopened();
    EXPECT_LT(std::filesystem::file_size(sqlite_file(folder.path())), 1'000'000U);
    const auto records = open_sqlite(folder.path());
    const auto look = records->look();
    EXPECT_FALSE(look->at_or_after(table::logs, number_key(0)));
    EXPECT_FALSE(look->at_or_after(table::places, place_key(0, 0)));
    EXPECT_FALSE(look->at_or_after(table::chunks, number_key(0)));
}

// remove_below() takes whole chunks and the beginning of one.
TEST(store, removes_a_beginning) {
    const temporary_folder folder;
    {
        life first(folder.path());
        const auto log = first.disk->open(queue, true);
        for (position at = 0; at < 10; ++at) {
            log->put(make_entry(at, std::to_string(at)));
            if (at == 4) first.commit();
        }
        first.commit();
        log->remove_below(7, 7, 7);
        log->set_note("seven");
    }
    life second(folder.path());
    const auto log = second.disk->open(queue, true);
    EXPECT_EQ(log->summary().count, 3U);
    EXPECT_EQ(log->note(), "seven");
    EXPECT_THAT(bodies(*log), ElementsAre("7", "8", "9"));
}

// Publishers are told to wait while much waits for the disk, and to go on when little does.
TEST(store, presses_back) {
    const temporary_folder folder;
    life only(folder.path(), {.waiting_bytes_high = 100'000, .waiting_bytes_low = 10'000});
    const auto log = only.disk->open(queue, true);
    position at = 0;
    while (only.seen.pressures.empty()) log->put(make_entry(at++, std::string(1'000, 'x')));
    EXPECT_LT(at, 101U);
    EXPECT_GT(at, 80U);
    EXPECT_THAT(only.seen.pressures, ElementsAre(true));
    only.commit();
    EXPECT_THAT(only.seen.pressures, ElementsAre(true, false));
    EXPECT_EQ(only.disk->waiting_bytes(), 0U);
}

// A batch that can't be written is written when it can; what came in the meantime is behind it.
TEST(store, goes_on_after_a_failure) {
    struct failing final : engine {
        failing(std::unique_ptr<engine> to, int& left) : inner(std::move(to)), failures(left) {}
        std::expected<bool, disk_error> apply(const batch& what) override {
            if (!what.logs.empty() && failures-- > 0) return std::unexpected(disk_error{.text = "no room"});
            return inner->apply(what);
        }
        std::expected<read_entries, disk_error> read(queue_number number, position from,
                                                     const read_limits& limits) override {
            return inner->read(number, from, limits);
        }
        std::expected<std::size_t, disk_error> definitions(
            const std::function<void(std::string_view, std::string_view)>& each) override {
            return inner->definitions(each);
        }
        std::expected<std::size_t, disk_error> logs(
            const std::function<void(queue_number, const recovered_log&)>& each) override {
            return inner->logs(each);
        }
        const std::unique_ptr<engine> inner;
        int& failures;
    };
    const temporary_folder folder;
    int failures = 2;
    {
        life first(std::make_unique<failing>(std::make_unique<log_engine>(open_sqlite(folder.path())), failures));
        const auto log = first.disk->open(queue, true);
        log->put(make_entry(0, "a"));
        while (first.seen.troubles.empty()) ASSERT_TRUE(first.shard.run_one());
        EXPECT_EQ(first.disk->committed(), 0U);
        log->put(make_entry(1, "b"));
        first.commit();
        EXPECT_THAT(first.seen.troubles, ElementsAre("no room", ""));
    }
    life second(folder.path());
    EXPECT_TRUE(second.disk->was_clean());
    EXPECT_THAT(bodies(*second.disk->open(queue, true)), ElementsAre("a", "b"));
}

// After a write that no other one can make good nothing is tried again and nothing confirmed, and the end is not in
// good order.
TEST(store, gives_up_after_a_failed_sync) {
    struct failing final : engine {
        std::expected<bool, disk_error> apply(const batch& what) override {
            numbers.push_back(what.number);
            return std::unexpected(disk_error{.text = "sync failed", .final = true});
        }
        std::expected<read_entries, disk_error> read(queue_number, position from, const read_limits&) override {
            return read_entries{.end = from};
        }
        std::expected<std::size_t, disk_error> definitions(
            const std::function<void(std::string_view, std::string_view)>&) override {
            return 0;
        }
        std::expected<std::size_t, disk_error> logs(
            const std::function<void(queue_number, const recovered_log&)>&) override {
            return 0;
        }
        explicit failing(std::vector<commit_number>& to) : numbers(to) {}
        std::vector<commit_number>& numbers;
    };
    std::vector<commit_number> numbers;
    {
        life only(std::make_unique<failing>(numbers));
        const auto log = only.disk->open(queue, true);
        log->put(make_entry(0, "m"));
        while (only.seen.broken.empty()) ASSERT_TRUE(only.shard.run_one());
        EXPECT_EQ(only.seen.broken, "sync failed");
        EXPECT_EQ(only.disk->committed(), 0U);
    }
    EXPECT_THAT(numbers, ElementsAre(1U));
}

}  // namespace
}  // namespace foz::broker
