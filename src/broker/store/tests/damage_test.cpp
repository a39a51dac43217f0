// What has changed on disk behind the store's back is noticed and said, and never given out as if it were right.
#include "broker/store/wal_check.hpp"
#include "fixture.hpp"

#include <map>
#include <random>

#include <gmock/gmock.h>

namespace foz::broker {
namespace {

constexpr queue_number queues = 3;
constexpr position entries = 400;

std::string body_of(queue_number queue, position at) {
    return std::to_string(queue) + ":" + std::to_string(at) + std::string(at % 10 == 0 ? 3'000 : 40, 'b');
}

void fill(store& disk, life& home) {
    std::vector<std::unique_ptr<queue_log>> logs;
    for (queue_number queue = 1; queue <= queues; ++queue) {
        disk.put_definition("queue " + std::to_string(queue), "definition");
        logs.push_back(disk.open(queue, true));
    }
    for (position at = 0; at < entries; ++at) {
        for (queue_number queue = 1; queue <= queues; ++queue) logs[queue - 1]->put(make_entry(at, body_of(queue, at)));
        if (at % 40 == 39) home.commit();
    }
    for (queue_number queue = 1; queue <= queues; ++queue)
        for (position at = 0; at < 30; ++at) logs[queue - 1]->remove(make_entry(at, body_of(queue, at)));
    home.commit();
}

std::string read_file(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Without the zeros at its end, which a write-ahead log may have already or not; whole frames.
std::string read_wal(const std::string& file) {
    constexpr std::size_t header = 32;
    constexpr std::size_t frame = 24 + 8'192;
    std::string octets = read_file(file);
    const std::size_t used = octets.find_last_not_of('\0') + 1;
    octets.resize(std::min(octets.size(), header + (used - header + frame - 1) / frame * frame));
    return octets;
}

void write_file(const std::string& file, const std::string& octets) {
    std::ofstream(file, std::ios::binary).write(octets.data(), static_cast<std::streamsize>(octets.size()));
}

struct outcome {
    std::uint64_t wrong = 0;    // given out and not what was put
    std::uint64_t back = 0;     // given out although it was removed
    std::uint64_t missing = 0;  // neither given out nor said to be lost
    bool said = false;
};

// Reads everything, as queues do.
outcome look_at(const std::string& folder) {
    outcome out;
    out.said = !check_wal(sqlite_file(folder)).empty();
    try {
        life now(folder);
        std::size_t definitions = 0;
        now.disk->definitions([&](std::string_view, std::string_view value) {
            ++definitions;
            if (value != "definition") ++out.wrong;
        });
        out.said |= now.disk->damaged_records() > 0;
        for (queue_number queue = 1; queue <= queues; ++queue) {
            const auto log = now.disk->open(queue, true);
            std::uint64_t left = log->summary().count;
            std::uint64_t seen = 0;
            for (position from = 0;;) {
                const log_page page = log->read(from, 64, 1 << 20);
                left -= std::min(left, page.entries.size() + page.lost);
                if (page.entries.empty()) break;
                for (const stored_entry& one : page.entries) {
                    if (one.what->body() != body_of(queue, one.at)) ++out.wrong;
                    ++(one.at < 30 ? out.back : seen);
                }
                from = page.end;
            }
            if (left > 0) log->missing(left);
            if (seen < entries - 30) out.missing += entries - 30 - seen;
        }
        out.said |= now.seen.damaged > 0 || !now.seen.broken.empty();
        if (definitions < queues) out.missing += queues - definitions;
    } catch (const std::runtime_error&) {
        out.said = true;  // it does not start
    }
    return out;
}

void flip_and_look(const std::string& from, const char* name, std::uint64_t seed, int times) {
    const temporary_folder scratch;
    std::mt19937_64 random(seed);
    const std::string whole = std::string_view(name).ends_with("-wal") ? read_wal(from + name) : read_file(from + name);
    ASSERT_GT(whole.size(), 8'192U);
    int noticed = 0;
    for (int i = 0; i < times; ++i) {
        copy_folder(from, scratch.path());
        std::string changed = whole;
        const std::size_t at = random() % whole.size();
        changed[at] = static_cast<char>(changed[at] ^ 1 << random() % 8);
        write_file(scratch.path() + name, changed);
        const outcome seen = look_at(scratch.path());
        EXPECT_EQ(seen.wrong, 0U) << "octet " << at;
        EXPECT_TRUE(seen.missing + seen.back == 0 || seen.said) << "octet " << at << ": " << seen.missing << " missing";
        if (seen.said) ++noticed;
    }
    EXPECT_GT(noticed, times / 4);  // the rest lies where nothing is
}

// Goal: a changed bit anywhere in the database.
TEST(damage, in_the_database) {
    const temporary_folder folder;
    {
        life first(folder.path());
        fill(*first.disk, first);
    }
    ASSERT_FALSE(look_at(folder.path()).said);
    flip_and_look(folder.path(), "/foz.db", 1, 200);
}

// Goal: a changed bit anywhere in the write-ahead log.
TEST(damage, in_the_write_ahead_log) {
    const temporary_folder folder;
    const temporary_folder copy;
    {
        life first(folder.path());
        fill(*first.disk, first);
        copy_folder(folder.path(), copy.path());
    }
    std::filesystem::remove(copy.path() + "/foz.db-shm");
    flip_and_look(copy.path(), "/foz.db-wal", 2, 200);
}

// Goal: a last write that was cut off or garbled takes nothing with it that was committed before.
TEST(damage, a_torn_last_write) {
    const temporary_folder folder;
    const temporary_folder copy;
    const temporary_folder scratch;
    std::size_t before = 0;
    {
        life first(folder.path());
        fill(*first.disk, first);
        before = read_wal(folder.path() + "/foz.db-wal").size();
        const auto log = first.disk->open(queues + 1, true);
        for (position at = 0; at < 100; ++at) log->put(make_entry(at, std::string(500, 'l')));
        first.commit();
        copy_folder(folder.path(), copy.path());
    }
    const std::string whole = read_wal(copy.path() + "/foz.db-wal");
    ASSERT_GT(whole.size(), before);
    std::mt19937_64 random(3);
    for (std::size_t cut = before; cut < whole.size(); cut += 1 + random() % 2'000) {
        for (const bool garbled : {false, true}) {
            copy_folder(copy.path(), scratch.path());
            std::filesystem::remove(scratch.path() + "/foz.db-shm");
            std::string torn = whole.substr(0, cut);
            if (garbled) torn.resize(whole.size(), '\x5a');
            write_file(scratch.path() + "/foz.db-wal", torn);
            const outcome seen = look_at(scratch.path());
            EXPECT_EQ(seen.wrong + seen.missing + seen.back, 0U) << cut;
            // A last frame whose head is whole might be of something that was confirmed.
            EXPECT_TRUE(garbled || !seen.said) << cut;
        }
    }
}

// Goal: a database that is shorter than it says, is empty, or is none.
TEST(damage, a_database_cut_short) {
    const temporary_folder folder;
    const temporary_folder scratch;
    {
        life first(folder.path());
        fill(*first.disk, first);
    }
    const std::string whole = read_file(folder.path() + "/foz.db");
    for (std::size_t size = 1; size < whole.size(); size += 5'000) {
        write_file(scratch.path() + "/foz.db", whole.substr(0, size));
        const outcome seen = look_at(scratch.path());
        EXPECT_EQ(seen.wrong, 0U) << size;
        EXPECT_TRUE(seen.said) << size;
        std::filesystem::remove(scratch.path() + "/foz.db-wal");
    }
    write_file(scratch.path() + "/foz.db", std::string(20'000, 'z'));
    EXPECT_THROW(life(scratch.path()), kv_failure);
}

}  // namespace
}  // namespace foz::broker
