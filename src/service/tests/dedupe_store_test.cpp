#include "service/dedupe_store.hpp"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace foz::service {
namespace {

// A database file of its own for each test.
struct file {
    file() {
        char name[] = "/tmp/foz-store-XXXXXX";
        folder = ::mkdtemp(name);
        path = folder / "store.db";
    }
    ~file() { std::filesystem::remove_all(folder); }
    std::filesystem::path folder, path;
};

void execute(sqlite3* db, const std::string& sql) {
    if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        throw std::runtime_error(sqlite3_errmsg(db));
}

int number(sqlite3* db, const std::string& sql) {
    int found = -1;
    const auto take = [](void* to, int, char** columns, char**) {
        *static_cast<int*>(to) = std::stoi(columns[0]);
        return 0;
    };
    if (sqlite3_exec(db, sql.c_str(), take, &found, nullptr) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db));
    return found;
}

std::string never() {
    ADD_FAILURE() << "the work ran again";
    return {};
}

class both_stores : public testing::TestWithParam<bool> {
protected:
    file file_;
    std::unique_ptr<dedupe_store> store_ =
        GetParam() ? std::make_unique<sqlite_store>(file_.path.string()) : make_memory_store();
};

}  // namespace

TEST_P(both_stores, run_the_work_once_and_remember_what_was_said) {
    const std::string octets("a\0b", 3);
    EXPECT_EQ(store_->once("chat/1", [&] { return octets; }).outbox, octets);
    EXPECT_EQ(store_->once("chat/1", never).outbox, octets);
    EXPECT_FALSE(store_->once("chat/1", never).sent);
    store_->sent("chat/1");
    EXPECT_EQ(store_->once("chat/1", never).outbox, octets);
    EXPECT_TRUE(store_->once("chat/1", never).sent);
    EXPECT_EQ(store_->once("chat/2", [] { return ""; }).outbox, "");
    EXPECT_EQ(store_->once("chat/2", never).outbox, "");
    store_->sent("unheard of");
}

TEST_P(both_stores, forget_work_that_throws) {
    EXPECT_THROW(store_->once("k", []() -> std::string { throw std::runtime_error("boom"); }), std::runtime_error);
    EXPECT_THROW(store_->once("k", []() -> std::string { throw 1; }), int);
    EXPECT_EQ(store_->once("k", [] { return "now"; }).outbox, "now");
}

TEST_P(both_stores, let_the_second_wait_for_the_first_with_the_same_key) {
    std::promise<void> inside, go;
    std::atomic<int> runs = 0;
    auto first = std::async(std::launch::async, [&] {
        return store_->once("k", [&] {
            inside.set_value();
            go.get_future().wait();
            ++runs;
            return "first";
        });
    });
    inside.get_future().wait();
    auto second = std::async(std::launch::async, [&] {
        return store_->once("k", [&] {
            ++runs;
            return "second";
        });
    });
    go.set_value();
    EXPECT_EQ(first.get().outbox, "first");
    EXPECT_EQ(second.get().outbox, "first");
    EXPECT_EQ(runs, 1);
}

TEST_P(both_stores, let_the_second_run_when_the_first_fails) {
    std::promise<void> inside, go;
    auto first = std::async(std::launch::async, [&] {
        return store_->once("k", [&]() -> std::string {
            inside.set_value();
            go.get_future().wait();
            throw std::runtime_error("boom");
        });
    });
    inside.get_future().wait();
    auto second = std::async(std::launch::async, [&] { return store_->once("k", [] { return "second"; }); });
    go.set_value();
    EXPECT_THROW(first.get(), std::runtime_error);
    EXPECT_EQ(second.get().outbox, "second");
}

TEST_P(both_stores, run_each_of_many_keys_once_from_many_threads) {
    std::atomic<int> runs = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) {
                const std::string key = std::to_string(i);
                EXPECT_EQ(store_->once(key, [&] { return ++runs, key; }).outbox, key);
                store_->sent(key);
            }
        });
    for (auto& one : threads) one.join();
    EXPECT_EQ(runs, 50);
}

INSTANTIATE_TEST_SUITE_P(store, both_stores, testing::Bool(),
                         [](const auto& which) { return which.param ? "sqlite" : "memory"; });

TEST(memory_store, does_not_let_one_key_wait_for_another) {
    const auto store = make_memory_store();
    EXPECT_EQ(
        store->once("outer", [&] { return store->once("inner", [] { return "in"; }).outbox + " and out"; }).outbox,
        "in and out");
}

TEST(memory_store, forgets_what_was_not_used_for_longest) {
    const auto store = make_memory_store(2);
    store->once("a", [] { return "a"; });
    store->once("b", [] { return "b"; });
    store->once("a", never);
    store->once("c", [] { return "c"; });
    store->once("a", never);
    EXPECT_EQ(store->once("b", [] { return "b again"; }).outbox, "b again");
}

TEST(sqlite_store, remembers_after_a_restart_what_was_committed_and_nothing_else) {
    const file f;
    {
        sqlite_store store(f.path.string());
        execute(store.database(), "CREATE TABLE t (n INTEGER)");
        store.once("a", [&] {
            execute(store.database(), "INSERT INTO t VALUES (1)");
            return "said";
        });
        EXPECT_THROW(store.once("b",
                                [&]() -> std::string {
                                    execute(store.database(), "INSERT INTO t VALUES (2)");
                                    throw std::runtime_error("boom");
                                }),
                     std::runtime_error);
        EXPECT_EQ(number(store.database(), "SELECT sum(n) FROM t"), 1) << "rolled back with the memory of it";
    }
    sqlite_store store(f.path.string());
    EXPECT_EQ(number(store.database(), "SELECT sum(n) FROM t"), 1);
    EXPECT_EQ(store.once("a", never).outbox, "said");
    EXPECT_EQ(store.once("b", [] { return "now"; }).outbox, "now");
}

TEST(sqlite_store, keeps_what_a_process_that_was_killed_had_committed) {
    const file f;
    const pid_t child = ::fork();
    if (child == 0) {
        sqlite_store store(f.path.string());
        store.once("a", [] { return "said"; });
        store.once("b", []() -> std::string { ::_exit(0); });  // in the middle, without a word
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    sqlite_store store(f.path.string());
    EXPECT_EQ(store.once("a", never).outbox, "said");
    EXPECT_EQ(store.once("b", [] { return "now"; }).outbox, "now");
}

TEST(sqlite_store, forgets_what_is_old_and_was_sent) {
    const file f;
    {
        sqlite_store store(f.path.string(), 1);
        for (const char* key : {"sent", "unsent", "fresh"}) store.once(key, [] { return "said"; });
        store.sent("sent");
        store.sent("fresh");
        execute(store.database(), "UPDATE foz_outbox SET at = at - 3700 WHERE key != 'fresh'");
    }
    sqlite_store store(f.path.string(), 1);
    store.once("another", [] { return ""; });
    store.once("unsent", never);
    store.once("fresh", never);
    EXPECT_EQ(store.once("sent", [] { return "again"; }).outbox, "again");
}

TEST(sqlite_store, says_which_file_is_wrong) {
    const auto text_of = [](const std::function<void()>& fails) -> std::string {
        try {
            fails();
        } catch (const std::runtime_error& e) {
            return e.what();
        }
        return "nothing was thrown";
    };
    EXPECT_EQ(text_of([] { sqlite_store store("/nowhere/at/all.db"); }),
              "/nowhere/at/all.db: open: unable to open database file");
    const file f;
    std::ofstream(f.path) << std::string(4096, 'x');
    EXPECT_EQ(text_of([&] { sqlite_store store(f.path.string()); }),
              f.path.string() + ": PRAGMA journal_mode=WAL: file is not a database");
}

TEST(sqlite_store, does_not_let_a_handler_end_the_transaction) {
    const file f;
    sqlite_store store(f.path.string());
    EXPECT_THROW(store.once("k",
                            [&] {
                                execute(store.database(), "COMMIT");
                                return "";
                            }),
                 std::logic_error);
    EXPECT_EQ(store.once("k", [] { return "now"; }).outbox, "now");
}

}  // namespace foz::service
