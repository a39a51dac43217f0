// Large bodies have files of their own, for as long as anything refers to them.
#include "broker/store/tests/fixture.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>

namespace foz::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr store_limits staging{.staged_bytes_min = 1'000};

std::vector<std::string> body_files_in(const std::string& folder) {
    std::vector<std::string> out;
    for (const auto& one : std::filesystem::directory_iterator(folder))
        if (const std::string name = one.path().filename(); name.starts_with("body.")) out.push_back(name);
    std::ranges::sort(out);
    return out;
}

std::string large(char fill) {
    return std::string(600'000, fill) + "end";
}

// Stages it and puts it where `put` does; the message.
template <class Put>
message_ref publish(life& in, const std::string& body, const Put& put) {
    const message_ref what = make_message(body);
    EXPECT_TRUE(in.disk->stages(body.size()));
    bool done = false;
    in.disk->stage(what, [&] {
        put(what);
        done = true;
    });
    EXPECT_FALSE(done);
    while (!done && in.shard.run_one()) {
    }
    return what;
}

stored_entry entry_at(position at, const message_ref& what) {
    return {.at = at, .what = what, .arrived_ms = 5};
}

// The files go on a thread, when it is certain that nothing refers to them.
void expect_files(life& in, const std::string& folder, std::size_t count) {
    in.commit();
    for (int i = 0; i < 1'000 && body_files_in(folder).size() != count; ++i) {
        in.shard.post([] {});
        in.shard.run_one();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_EQ(body_files_in(folder).size(), count);
}
void expect_no_files(life& in, const std::string& folder) {
    expect_files(in, folder, 0);
}

TEST(bodies, one_file_for_all_queues_until_the_last_one_has_no_use_for_it) {
    const temporary_folder folder;
    {
        life first(folder.path(), staging);
        const auto one = first.disk->open(1, true);
        const auto two = first.disk->open(2, true);
        one->put(make_entry(0, "small"));
        publish(first, large('x'), [&](const message_ref& what) {
            one->put(entry_at(1, what));
            two->put(entry_at(0, what));
        });
        one->put(make_entry(2, "behind"));
        first.commit();
        EXPECT_THAT(body_files_in(folder.path()), ElementsAre("body.1"));
        EXPECT_EQ(one->summary().bytes, large('x').size() + 11);
        EXPECT_LT(std::filesystem::file_size(sqlite_file(folder.path()) + "-wal"), 7U << 20);
    }
    life second(folder.path(), staging);
    const auto one = second.disk->open(1, true);
    const auto two = second.disk->open(2, true);
    EXPECT_EQ(bodies(*one), (std::vector<std::string>{"small", large('x'), "behind"}));
    EXPECT_EQ(bodies(*two), std::vector<std::string>{large('x')});
    const log_page page = one->read(1, 1, 1);
    ASSERT_EQ(page.entries.size(), 1U);
    one->remove(page.entries.front());
    second.commit();
    EXPECT_EQ(bodies(*two), std::vector<std::string>{large('x')});
    two->remove(two->read(0, 1, 1).entries.front());
    expect_no_files(second, folder.path());
    EXPECT_EQ(bodies(*one), (std::vector<std::string>{"small", "behind"}));
}

// As a dead letter does: out of one queue and into the next, in one commit or in two.
TEST(bodies, what_moves_keeps_its_file) {
    const temporary_folder folder;
    life now(folder.path(), staging);
    const auto from = now.disk->open(1, true);
    const auto to = now.disk->open(2, true);
    const message_ref what = publish(now, large('x'), [&](const message_ref& one) { from->put(entry_at(0, one)); });
    now.commit();
    from->remove(entry_at(0, what));
    to->put(entry_at(0, what));
    now.commit();
    EXPECT_THAT(body_files_in(folder.path()), ElementsAre("body.1"));
    // Into the batch behind the one that takes away the last entry that refers to it, which is being written.
    to->remove(entry_at(0, what));
    while (now.disk->pending_commit() == now.disk->committed() + 1 && now.shard.run_one()) {
        from->put(entry_at(1, what));
        break;
    }
    now.commit();
    EXPECT_EQ(bodies(*from), std::vector<std::string>{large('x')});
    from->remove(entry_at(1, what));
    expect_no_files(now, folder.path());
    // And afterwards: its file is gone, so it goes with its record.
    from->put(entry_at(2, what));
    now.commit();
    EXPECT_EQ(bodies(*from, 2), std::vector<std::string>{large('x')});
    EXPECT_THAT(body_files_in(folder.path()), IsEmpty());
}

TEST(bodies, what_nobody_takes_leaves_nothing) {
    const temporary_folder folder;
    life now(folder.path(), staging);
    const auto log = now.disk->open(1, true);
    publish(now, large('x'), [](const message_ref&) {});
    expect_no_files(now, folder.path());
    // Put and taken away before it is written.
    publish(now, large('y'), [&](const message_ref& what) {
        log->put(entry_at(0, what));
        log->remove(entry_at(0, what));
    });
    expect_no_files(now, folder.path());
}

TEST(bodies, go_with_their_segment_and_with_their_queue) {
    const temporary_folder folder;
    life now(folder.path(), staging);
    const auto log = now.disk->open(1, true);
    const auto put = [&](position at) {
        publish(now, large('x'), [&](const message_ref& what) { log->put(entry_at(at, what)); });
    };
    put(0);
    put(1);
    put(2);
    now.commit();
    EXPECT_EQ(body_files_in(folder.path()).size(), 3U);
    log->remove_below(2, 2, 2 * large('x').size());
    expect_files(now, folder.path(), 1);
    EXPECT_THAT(body_files_in(folder.path()), ElementsAre("body.3"));
    log->erase();
    expect_no_files(now, folder.path());
}

TEST(bodies, a_killed_process_leaves_none_behind_and_none_missing) {
    const temporary_folder folder;
    const temporary_folder killed;
    {
        life now(folder.path(), staging);
        const auto log = now.disk->open(1, true);
        publish(now, large('x'), [&](const message_ref& what) { log->put(entry_at(0, what)); });
        now.commit();
        publish(now, large('y'), [&](const message_ref&) {
            copy_folder(folder.path(), killed.path());  // before anything refers to it
        });
    }
    EXPECT_THAT(body_files_in(killed.path()), ElementsAre("body.1", "body.2"));
    life next(killed.path(), staging);
    EXPECT_THAT(body_files_in(killed.path()), ElementsAre("body.1"));
    const auto log = next.disk->open(1, true);
    EXPECT_EQ(bodies(*log), std::vector<std::string>{large('x')});
    // A number is not given to another body while an entry refers to it.
    publish(next, large('z'), [&](const message_ref& what) { log->put(entry_at(1, what)); });
    next.commit();
    EXPECT_EQ(bodies(*log), (std::vector<std::string>{large('x'), large('z')}));
}

TEST(bodies, a_damaged_one_is_lost_alone_and_told) {
    const temporary_folder folder;
    {
        life first(folder.path(), staging);
        const auto log = first.disk->open(1, true);
        log->put(make_entry(0, "before"));
        publish(first, large('x'), [&](const message_ref& what) { log->put(entry_at(1, what)); });
        log->put(make_entry(2, "behind"));
        first.commit();
    }
    std::fstream file(folder.path() + "/body.1", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(300'000);
    file.put('?');
    file.close();
    life second(folder.path(), staging);
    const auto log = second.disk->open(1, true);
    EXPECT_EQ(bodies(*log), (std::vector<std::string>{"before", "behind"}));
    EXPECT_EQ(second.seen.damaged, 1U);
    EXPECT_THAT(second.seen.damaged_first, ElementsAre(1U));
    EXPECT_TRUE(second.seen.broken.empty());
    expect_no_files(second, folder.path());
}

// Behaves as the real one, but for what a test says of keeping bodies.
struct troubled : engine {
    explicit troubled(const std::string& folder) : inner(open_sqlite(folder), body_files(folder)) {}
    std::expected<bool, disk_error> apply(const batch& what) override { return inner.apply(what); }
    std::expected<read_entries, disk_error> read(queue_number queue, position from,
                                                 const read_limits& limits) override {
        return inner.read(queue, from, limits);
    }
    std::expected<std::size_t, disk_error> definitions(
        const std::function<void(std::string_view, std::string_view)>& each) override {
        return inner.definitions(each);
    }
    std::expected<std::size_t, disk_error> logs(
        const std::function<void(queue_number, const recovered_log&)>& each) override {
        return inner.logs(each);
    }
    std::vector<body_number> unreferenced() override { return inner.unreferenced(); }
    std::vector<body_number> bodies() override { return inner.bodies(); }
    std::expected<void, disk_error> keep_body(body_number number, std::string_view body) override {
        if (failures-- > 0) return std::unexpected(disk_error{.text = "No space left on device", .final = never});
        return inner.keep_body(number, body);
    }
    void remove_body(body_number number) override { inner.remove_body(number); }

    log_engine inner;
    std::atomic<int> failures = 0;
    bool never = false;
};

TEST(bodies, without_room_only_it_waits) {
    const temporary_folder folder;
    auto made = std::make_unique<troubled>(folder.path());
    made->failures = 2;
    life now(std::move(made), staging);
    const auto log = now.disk->open(1, true);
    log->put(make_entry(0, "before"));
    now.commit();
    publish(now, large('x'), [&](const message_ref& what) { log->put(entry_at(1, what)); });
    now.commit();
    EXPECT_EQ(bodies(*log), (std::vector<std::string>{"before", large('x')}));
    EXPECT_EQ(body_files_in(folder.path()).size(), 1U);
    EXPECT_THAT(now.seen.staging_troubles, ElementsAre("No space left on device", ""));
    EXPECT_TRUE(now.seen.troubles.empty());
}

TEST(bodies, an_engine_without_a_place_for_them_has_them_in_its_records) {
    const temporary_folder folder;
    auto made = std::make_unique<troubled>(folder.path());
    made->failures = 1;
    made->never = true;
    life now(std::move(made), staging);
    const auto log = now.disk->open(1, true);
    publish(now, large('x'), [&](const message_ref& what) { log->put(entry_at(0, what)); });
    now.commit();
    EXPECT_EQ(bodies(*log), std::vector<std::string>{large('x')});
    EXPECT_THAT(body_files_in(folder.path()), IsEmpty());
}

// Whoever ends while something is staged has read it: it is put all the same.
TEST(bodies, an_end_in_good_order_loses_nothing_that_was_taken) {
    const temporary_folder folder;
    {
        auto made = std::make_unique<troubled>(folder.path());
        made->failures = 1'000;
        life now(std::move(made), staging);
        const auto log = now.disk->open(1, true);
        position at = 0;
        for (const char fill : {'x', 'y', 'z'}) {
            const message_ref what = make_message(large(fill));
            now.disk->stage(what, [&log, &at, what] { log->put(entry_at(at++, what)); });
        }
        now.disk->finish_staging();
    }
    life next(folder.path(), staging);
    const auto log = next.disk->open(1, true);
    EXPECT_EQ(bodies(*log), (std::vector<std::string>{large('x'), large('y'), large('z')}));
}

// An acknowledgement is not waited for: when the power fails its entry may be there again, and so must its body be.
TEST(bodies, a_file_outlives_a_removal_that_is_not_on_disk) {
    const temporary_folder folder;
    log_engine disk(open_sqlite(folder.path()), body_files(folder.path()));
    const message_ref what = make_message(large('x'));
    ASSERT_TRUE(disk.keep_body(1, what->body()));
    what.set_body_file(1);
    batch put{.number = 1, .durable = true};
    put.logs[7].puts.push_back(entry_at(0, what));
    ASSERT_TRUE(disk.apply(put));
    batch acknowledged{.number = 2};
    acknowledged.logs[7].removes.push_back(0);
    ASSERT_EQ(disk.apply(acknowledged), true) << "there is more to do";
    EXPECT_THAT(disk.unreferenced(), IsEmpty());
    ASSERT_EQ(disk.apply(batch{}), false);
    EXPECT_THAT(disk.unreferenced(), ElementsAre(1U));
}

// What can't be read now is not damaged.
TEST(bodies, an_error_costs_no_message) {
    const temporary_folder folder;
    {
        life first(folder.path(), staging);
        const auto log = first.disk->open(1, true);
        publish(first, large('x'), [&](const message_ref& what) { log->put(entry_at(0, what)); });
        first.commit();
    }
    const std::string file = folder.path() + "/body.1";
    std::filesystem::rename(file, file + ".away");
    std::filesystem::create_symlink(file, file);  // ELOOP
    {
        life second(folder.path(), staging);
        const auto log = second.disk->open(1, true);
        EXPECT_THAT(bodies(*log), IsEmpty());
        EXPECT_EQ(second.seen.damaged, 0U);
        EXPECT_FALSE(second.seen.broken.empty());
    }
    std::filesystem::remove(file);
    std::filesystem::rename(file + ".away", file);
    life third(folder.path(), staging);
    EXPECT_EQ(bodies(*third.disk->open(1, true)), std::vector<std::string>{large('x')});
}

TEST(bodies, a_process_without_descriptors_reads_them_all_the_same) {
    const temporary_folder folder;
    life now(folder.path(), staging);
    const auto log = now.disk->open(1, true);
    publish(now, large('x'), [&](const message_ref& what) { log->put(entry_at(0, what)); });
    now.commit();
    EXPECT_EQ(bodies(*log).size(), 1U);  // SQLite has opened what it needs
    std::vector<int> all;
    for (int one = ::dup(0); one >= 0; one = ::dup(0)) all.push_back(one);
    const auto got = bodies(*log);
    for (const int one : all) ::close(one);
    EXPECT_EQ(got, std::vector<std::string>{large('x')});
    EXPECT_EQ(bodies(*log), std::vector<std::string>{large('x')});
}

// Its number leads to no other body, though its file is gone.
TEST(bodies, the_number_of_a_lost_file_is_not_used_again) {
    const temporary_folder folder;
    {
        life first(folder.path(), staging);
        const auto log = first.disk->open(1, true);
        publish(first, large('x'), [&](const message_ref& what) { log->put(entry_at(0, what)); });
        first.commit();
    }
    std::filesystem::remove(folder.path() + "/body.1");
    life second(folder.path(), staging);
    const auto log = second.disk->open(1, true);
    publish(second, large('y'), [&](const message_ref& what) { log->put(entry_at(1, what)); });
    second.commit();
    EXPECT_EQ(bodies(*log), std::vector<std::string>{large('y')});
    EXPECT_EQ(second.seen.damaged, 1U);
}

// What refers to which file can be found in the entries, too.
TEST(bodies, damaged_references_are_found_again) {
    const temporary_folder folder;
    {
        life first(folder.path(), staging);
        const auto one = first.disk->open(1, true);
        const auto two = first.disk->open(2, true);
        publish(first, large('x'), [&](const message_ref& what) {
            one->put(entry_at(0, what));
            two->put(entry_at(0, what));
        });
        first.commit();
    }
    {
        const auto records = open_sqlite(folder.path());
        const auto in = records->change(true);
        in->put(table::bodies, place_key(1, 0), "nonsense");
        in->put(table::bodies, place_key(9, 9), write_body_number(place_key(9, 9), 1));  // nobody's
        in->commit();
    }
    life second(folder.path(), staging);
    const auto one = second.disk->open(1, true);
    const auto two = second.disk->open(2, true);
    two->remove(two->read(0, 1, 1).entries.front());
    second.commit();
    EXPECT_EQ(bodies(*one), std::vector<std::string>{large('x')});
    one->remove(one->read(0, 1, 1).entries.front());
    expect_no_files(second, folder.path());
}

}  // namespace
}  // namespace foz::broker
