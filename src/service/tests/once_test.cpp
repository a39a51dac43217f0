// What happens once, and in what order, though messages come twice.
#include "fixture.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

namespace foz::service {
namespace {

// Dies when a message was published and confirmed, and the broker has not been told yet that it is done with.
class dying_store final : public dedupe_store {
public:
    explicit dying_store(const std::string& file) : store(file) {}
    memory once(const std::string& key, const std::function<std::string()>& work) override {
        return store.once(key, work);
    }
    void sent(const std::string&) override { ::_exit(0); }

    sqlite_store store;
};

struct folder {
    folder() {
        char name[] = "/tmp/foz-once-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~folder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

void count_up(sqlite3* db) {
    const char* const sql = "CREATE TABLE IF NOT EXISTS counts (n INTEGER); INSERT INTO counts VALUES (1)";
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db));
}

int counted(sqlite3* db) {
    int sum = 0;
    const auto take = [](void* to, int, char** columns, char**) {
        *static_cast<int*>(to) = std::stoi(columns[0]);
        return 0;
    };
    if (sqlite3_exec(db, "SELECT count(*) FROM counts", take, &sum, nullptr) != SQLITE_OK)
        throw std::runtime_error(sqlite3_errmsg(db));
    return sum;
}

// A worker whose handler writes to its store's database and says two things.
void run_once_worker(const channels& names, const std::shared_ptr<dedupe_store>& store, sqlite3* db,
                     const std::function<void(worker&)>& use) {
    worker_options all = options(names);
    all.dedupe = store;
    worker w(all);
    w.on(names.a(), "", [db](request& r) {
        count_up(db);
        r.broadcast("\"said\"", {.type = "said"});
        r.reply("\"answer\"");
    });
    use(w);
}

channels ordered_channels() {
    channels names;
    names.all[0].order = contract::order_kind::client;
    return names;
}

}  // namespace

TEST(once, after_a_crash_between_commit_and_ack_the_same_is_said_again_and_nothing_is_done_again) {
    const channels names;
    const folder f;
    const std::string file = f.path / "store.db";
    const pid_t child = ::fork();  // before this process has threads
    if (child == 0) {
        const auto store = std::make_shared<dying_store>(file);
        run_once_worker(names, store, store->store.database(), [](worker& w) { w.run(false); });
        ::_exit(1);
    }
    peer p(names);
    p.send(names.a(), "x", "1", "ann/m1");
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "it died where it should";

    const auto store = std::make_shared<sqlite_store>(file);
    run_once_worker(names, store, store->database(), [&](worker& w) {
        running r(w);
        const auto all = p.hear(4);
        ASSERT_EQ(all.size(), 4u);
        for (std::size_t i : {0u, 1u}) {
            EXPECT_EQ(all[i].properties.message_id, "ann/m1/" + std::to_string(i));
            EXPECT_EQ(all[i].properties, all[i + 2].properties);
            EXPECT_EQ(all[i].routing_key, all[i + 2].routing_key);
            EXPECT_EQ(all[i].body, all[i + 2].body);
        }
        r.stop();
        EXPECT_EQ(w.counters().handled, 1u);
    });
    EXPECT_EQ(counted(store->database()), 1);
}

TEST(once, a_message_that_its_sender_repeats_gets_the_same_answer_without_being_handled) {
    const channels names;
    worker w(options(names));
    std::atomic<int> runs = 0;
    w.on(names.a(), "", [&](request& r) { r.reply(std::to_string(++runs)); });
    w.on(names.b(), "", [&](request& r) { r.reply("\"other channel\""); });
    peer p(names);
    const running r(w);
    for (const char* id : {"m1", "m1", "m2"}) p.send(names.a(), "x", "1", id);
    p.send(names.b(), "x", "1", "m1");
    const auto all = p.hear(4);
    std::map<std::string, int> bodies;
    for (const auto& h : all) ++bodies[h.body];
    EXPECT_EQ(bodies, (std::map<std::string, int>{{"1", 2}, {"2", 1}, {"\"other channel\"", 1}}));
}

TEST(once, the_remembered_answer_goes_to_who_asks_now) {
    const channels names;
    worker w(options(names));
    int runs = 0;
    w.on(names.a(), "", [&](request& r) {
        r.reply(std::to_string(++runs));
        r.broadcast("\"said\"");
    });
    peer p(names);
    const running r(w);
    // Nobody waits; then a caller does, whose patience ends, and who asks again.
    amqp::publication message = p.request_from("ann", names.a(), "x", "1", "m1");
    message.properties.correlation_id = "first";
    amqp::publication alone = message;
    alone.properties.reply_to.reset();
    alone.properties.correlation_id.reset();
    p.publish(alone);
    const auto before = p.hear(1);
    EXPECT_EQ(before[0].body, "\"said\"");
    EXPECT_EQ(before[0].properties.message_id, "m1/1") << "the same whether an answer is awaited or not";
    p.publish(message);
    p.hear(2);
    message.properties.correlation_id = "second";
    p.publish(message);
    p.hear(3);
    p.publish(alone);
    p.send(names.a(), "x", "1", "m2");
    const auto all = p.hear(5);
    ASSERT_EQ(all.size(), 5u);
    for (std::size_t i : {1u, 2u}) {
        EXPECT_EQ(all[i].exchange, "");
        EXPECT_EQ(all[i].body, "1");
        EXPECT_EQ(all[i].properties.message_id, "m1/0");
        EXPECT_EQ(all[i].properties.correlation_id, i == 1 ? "first" : "second");
    }
    // What the broker has is not said again.
    for (std::size_t i : {3u, 4u}) EXPECT_TRUE(all[i].properties.message_id->starts_with("m2/"));
    EXPECT_EQ(runs, 2);
}

TEST(once, the_remembered_answer_goes_to_the_queue_that_asks_now) {
    const channels names;
    const folder f;
    worker_options all = options(names);
    all.dedupe = std::make_shared<sqlite_store>(f.path / "store.db");
    worker w(all);
    std::atomic<int> runs = 0;
    w.on(names.a(), "", [&](request& r) { r.reply(std::to_string(++runs)); });
    peer one(names), other(names);
    const running r(w);
    one.send(names.a(), "x", "1", "m1");
    one.hear(1);
    other.send(names.a(), "x", "1", "m1");
    EXPECT_EQ(other.hear(1)[0].body, "1");
    EXPECT_EQ(one.hear(1).size(), 1u);
    EXPECT_EQ(runs, 1);
}

TEST(once, neither_refusals_nor_messages_without_an_id_are_remembered) {
    const channels names;
    worker w(options(names));
    int runs = 0;
    w.on(names.a(), "", [&](request& r) {
        if (++runs == 1) throw error("not_yet", "come again");
        r.reply(std::to_string(runs));
    });
    peer p(names);
    const running r(w);
    p.send(names.a(), "x", "1", "m1");
    p.hear(1);
    p.send(names.a(), "x", "1", "m1");
    p.hear(2);
    p.send(names.a(), "x", "1", "");
    p.hear(3);
    p.send(names.a(), "x", "1", "");
    const auto all = p.hear(4);
    EXPECT_EQ(amqp::as_string(all[0].properties.headers->find(contract::header_error)), "not_yet");
    EXPECT_EQ(all[1].body, "2");
    EXPECT_EQ(all[2].body, "3");
    EXPECT_EQ(all[3].body, "4");
    EXPECT_FALSE(all[3].properties.message_id);
}

TEST(once, a_refused_transaction_is_rolled_back) {
    const channels names;
    const folder f;
    const auto store = std::make_shared<sqlite_store>(f.path / "store.db");
    worker_options all = options(names);
    all.dedupe = store;
    worker w(all);
    w.on(names.a(), "good", [&](request& r) {
        count_up(store->database());
        r.reply("1");
    });
    w.on(names.a(), "bad", [&](request&) {
        count_up(store->database());
        throw error("no", "not this one");
    });
    peer p(names);
    {
        const running r(w);
        p.send(names.a(), "good", "1", "m1");
        p.send(names.a(), "bad", "1", "m2");
        p.hear(2);
    }
    EXPECT_EQ(counted(store->database()), 1);
}

TEST(poison, a_message_that_kills_its_workers_takes_no_other_with_it) {
    const channels names;  // a delivery limit of 3: the fourth death is the last
    const folder f;
    constexpr int neighbours = 6;
    {
        peer p(names);
        p.send(names.a(), "poison", "1", "poison");
        for (int n = 0; n < neighbours; ++n) p.send(names.a(), "good", "1", std::to_string(n));
    }
    const auto remember = [&](request& r) { std::ofstream(f.path / r.message_id()); };
    const auto handled = [&] {
        return std::distance(std::filesystem::directory_iterator(f.path), std::filesystem::directory_iterator());
    };
    for (int death = 1; death <= 4; ++death) {
        const pid_t child = ::fork();
        if (child == 0) {
            std::atomic<int> beside = 0;
            worker w(options(names, 4));
            w.on(names.a(), "poison", [&](request&) {
                // The first time with others in hand.
                wait_until([&] { return death > 1 || beside == 3; });
                ::kill(::getpid(), SIGKILL);
            });
            w.on(names.a(), "good", [&](request& r) {
                ++beside;
                if (death == 1) ::pause();
                remember(r);
            });
            w.run(false);
        }
        int status = -1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    worker w(options(names, 4));
    w.on(names.a(), "poison", [](request&) { ADD_FAILURE() << "it should be a dead letter"; });
    w.on(names.a(), "good", remember);
    const running r(w);
    wait_until([&] { return handled() == neighbours; });
}

TEST(order, one_clients_messages_wait_for_each_other_and_for_nobody_else) {
    const channels names = ordered_channels();
    worker w(options(names, 2));
    std::promise<void> go;
    auto may_go = go.get_future().share();
    w.on(names.a(), "", [&](request& r) {
        if (r.message_id() == "ann-1") may_go.wait();
        r.reply("\"" + std::string(r.message_id()) + "\"");
    });
    peer p(names);
    const running r(w);
    for (const char* id : {"ann-1", "ann-2", "bob-1", "ann-3", "bob-2"})
        p.publish(p.request_from(std::string(id).substr(0, 3), names.a(), "x", "1", id));
    const auto before = p.hear(2);
    EXPECT_EQ(before[0].body, "\"bob-1\"");
    EXPECT_EQ(before[1].body, "\"bob-2\"");
    go.set_value();
    const auto all = p.hear(5);
    EXPECT_EQ(all[2].body, "\"ann-1\"");
    EXPECT_EQ(all[3].body, "\"ann-2\"");
    EXPECT_EQ(all[4].body, "\"ann-3\"");
}

TEST(order, holds_for_many_and_when_a_message_fails_or_dies) {
    const channels names = ordered_channels();
    worker w(options(names, 4));
    std::mutex mutex;
    std::map<std::string, std::vector<int>> handled;
    w.on(names.a(), "", [&](request& r) {
        const int n = std::stoi(std::string(r.message()));
        if (n == 3 && r.attempt() < 3) throw std::runtime_error("not at once");
        if (n == 6 && r.client() == "ann") throw std::runtime_error("never");
        const std::lock_guard lock(mutex);
        handled[std::string(r.client())].push_back(n);
    });
    peer p(names);
    for (int n = 0; n < 20; ++n)
        for (const char* client : {"ann", "bob", "eve"})
            p.publish(p.request_from(client, names.a(), "x", std::to_string(n), client + std::to_string(n)));
    const running r(w);
    wait_until([&] {
        const std::lock_guard lock(mutex);
        return handled["ann"].size() + handled["bob"].size() + handled["eve"].size() == 59;
    });
    std::vector<int> in_order(20);
    for (int n = 0; n < 20; ++n) in_order[static_cast<std::size_t>(n)] = n;
    const std::lock_guard lock(mutex);
    EXPECT_EQ(handled["bob"], in_order);
    EXPECT_EQ(handled["eve"], in_order);
    std::erase(in_order, 6);
    EXPECT_EQ(handled["ann"], in_order);
}

}  // namespace foz::service
