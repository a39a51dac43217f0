// A store in a folder of its own, with this thread as its shard.
#pragma once

#include "broker/store/log_engine.hpp"
#include "broker/store/sqlite_kv.hpp"
#include "broker/store/store.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::broker {

inline message_ref make_message(std::string_view body, bool persistent = true) {
    const std::string properties = persistent ? std::string("\x10\x00\x02", 3) : std::string("\0\0", 2);
    return *message::make({.exchange = "x", .routing_key = "key", .properties = properties, .body = body});
}

class temporary_folder {
public:
    temporary_folder() {
        // In memory if there is such a place: thousands of syncs are not what is tested.
        const bool memory = std::filesystem::is_directory("/dev/shm");
        const std::filesystem::path where = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
        std::string name = (where / "foz-store-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        path_ = name;
    }
    ~temporary_folder() { std::filesystem::remove_all(path_); }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

// What is posted waits until this thread runs it.
class mailbox {
public:
    void post(std::function<void()> work) {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(std::move(work));
        }
        wake_.notify_one();
    }
    // False after ten seconds without anything.
    bool run_one() {
        std::unique_lock lock(mutex_);
        if (!wake_.wait_for(lock, std::chrono::seconds(10), [this] { return !waiting_.empty(); })) return false;
        const auto work = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        work();
        return true;
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> waiting_;
};

struct events_seen final : store_events {
    void on_committed() override { ++commits; }
    void on_trouble(const std::string& why) override { troubles.push_back(why); }
    void on_staging_trouble(const std::string& why) override { staging_troubles.push_back(why); }
    void on_pressure(bool high) override { pressures.push_back(high); }
    void on_damage(queue_number, position first, std::uint64_t count) override {
        damaged_first.push_back(first);
        damaged += count;
    }
    void on_broken(const std::string& why) override { broken = why; }

    int commits = 0;
    std::vector<std::string> troubles;
    std::vector<std::string> staging_troubles;
    std::vector<bool> pressures;
    std::vector<position> damaged_first;
    std::uint64_t damaged = 0;
    std::string broken;
};

// One life of a process on the folder.
class life {
public:
    explicit life(const std::string& folder, const store_limits& limits = {})
        : life(std::make_unique<log_engine>(open_sqlite(folder), body_files(folder)), limits) {}
    explicit life(std::unique_ptr<engine> inner, const store_limits& limits = {})
        : disk(std::make_unique<store>(
              std::move(inner), [this](std::function<void()> work) { shard.post(std::move(work)); }, seen, limits)) {}

    void commit() {
        const commit_number wanted = disk->pending_commit();
        while (disk->committed() < wanted) ASSERT_TRUE(shard.run_one()) << "nothing is committed";
    }

    mailbox shard;
    events_seen seen;
    std::unique_ptr<store> disk;
};

inline stored_entry make_entry(position at, const std::string& body, bool transient = false) {
    return {.at = at,
            .what = make_message(body, !transient),
            .arrived_ms = 1'000 + static_cast<std::int64_t>(at),
            .transient = transient};
}

// Bodies of a log from a position on, page by page.
inline std::vector<std::string> bodies(queue_log& log, position from = 0, std::size_t page = 100) {
    std::vector<std::string> out;
    for (;;) {
        const log_page read = log.read(from, page, 1 << 20);
        if (read.entries.empty()) return out;
        for (const stored_entry& one : read.entries) out.emplace_back(one.what->body());
        from = read.end;
    }
}

// The folder as it is now: what a process that is killed at this moment leaves.
inline void copy_folder(const std::string& from, const std::string& to) {
    std::filesystem::remove_all(to);
    std::filesystem::copy(from, to);
}

}  // namespace foz::broker
