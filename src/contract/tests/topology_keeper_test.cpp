// How often the topology is declared, and what a user who may not declare it can do, with a broker that is played.
#include "contract/topology_keeper.hpp"

#include "amqp/conn/tests/played_broker.hpp"

#include <algorithm>
#include <set>

namespace foz::contract {
namespace {

using namespace amqp;
using boost::asio::awaitable;

awaitable<result<void>> ensure(topology_keeper& keeper, channel& self) {
    auto there = co_await keeper.ensure(self);
    co_return there;
}

struct user final : channel_handler {
    user(client& c, topology_keeper& k) : keeper(k), link(c.open_channel(*this)) {}
    ~user() { link->close(); }
    awaitable<result<void>> set_up(channel& self) override { return ensure(keeper, self); }
    void on_ready(channel&) override { ready(); }
    void on_lost(channel&, const error& why) override { lost(why); }

    topology_keeper& keeper;
    std::function<void()> ready = [] {};
    std::function<void(const error&)> lost = [](const error&) {};
    std::shared_ptr<channel> link;
};

// Exchanges and queues that are there, who may declare them, and what was asked for.
struct declaring_stage : stage {
    declaring_stage() {
        wish.deals = [this](played_connection& from, std::uint16_t on, message& m) {
            if (const auto* e = std::get_if<exchange_declare>(&m.method))
                return deal(from, on, std::string(e->exchange), e->passive, exchange_declare_ok());
            if (const auto* q = std::get_if<queue_declare>(&m.method))
                return deal(from, on, std::string(q->queue), q->passive, queue_declare_ok());
            if (!std::holds_alternative<queue_bind>(m.method)) return false;
            ++binds;
            from.say(on, queue_bind_ok());
            return true;
        };
    }
    template <class Ok>
    bool deal(played_connection& from, std::uint16_t on, const std::string& name, bool passive, const Ok& ok) {
        ++(passive ? looks : declares);
        if (!passive && !may_declare) return refuse(from, on, 403, "ACCESS_REFUSED - configure " + name);
        if (name == locked) return refuse(from, on, 405, "RESOURCE_LOCKED - exclusive queue " + name);
        if (name == conflicting) return refuse(from, on, 406, "PRECONDITION_FAILED - inequivalent arg for " + name);
        if (passive && !there.contains(name)) return refuse(from, on, 404, "NOT_FOUND - no " + name);
        there.insert(name);
        from.say(on, ok);
        return true;
    }
    static bool refuse(played_connection& from, std::uint16_t on, std::uint16_t code, const std::string& text) {
        from.say(on, channel_close{.reply_code = code, .reply_text = text});
        return true;
    }

    std::set<std::string> there;
    bool may_declare = true;
    std::string conflicting, locked;
    int declares = 0, looks = 0, binds = 0;
};

topology small() {
    return make_topology(std::vector<channel_settings>{{.name = "chat"}});
}
int objects(const topology& of) {
    return static_cast<int>(of.exchanges.size() + of.queues.size());
}

}  // namespace

TEST(topology_keeper, the_topology_is_declared_once_for_all_channels_and_not_at_a_reconnect) {
    declaring_stage s;
    topology_keeper keeper(small());
    client c(s.home, {.urls = {s.to()}}), d(s.home, {.urls = {s.to()}});
    std::vector<std::unique_ptr<user>> users;
    int ready = 0;
    for (int i = 0; i < 16; ++i) {
        users.push_back(std::make_unique<user>(i % 2 ? c : d, keeper));
        users.back()->ready = [&] {
            if (++ready == 16)  // all connections break
                for (auto& one : s.peers) one->say(0, connection_close{.reply_code = 320, .reply_text = "bye"});
            if (ready == 32) asio::co_spawn(s.home.context(), d.stop(), [&](std::exception_ptr) { s.end(c); });
        };
    }
    c.start();
    d.start();
    s.run();
    EXPECT_EQ(ready, 32);
    EXPECT_EQ(s.declares, objects(small()));
    EXPECT_EQ(s.binds, static_cast<int>(small().bindings.size()));
    EXPECT_EQ(s.looks, 0);
    EXPECT_EQ(keeper.counters().rounds, 1u);
    EXPECT_EQ(keeper.counters().declared, small().bindings.size() + static_cast<std::size_t>(objects(small())));
}

TEST(topology_keeper, after_not_found_it_is_declared_again_once) {
    declaring_stage s;
    topology_keeper keeper(small());
    client c(s.home, {.urls = {s.to()}});
    std::vector<std::unique_ptr<user>> users;
    int ready = 0;
    for (int i = 0; i < 4; ++i) {
        users.push_back(std::make_unique<user>(c, keeper));
        users.back()->ready = [&] {
            if (++ready == 4)
                for (auto& one : users)
                    one->link->reopen({errc::channel_closed, 404, "NOT_FOUND - no queue 'IN_CHAT'"});
            if (ready == 8)
                for (auto& one : users) one->link->reopen({errc::channel_closed, 0, "something else"});
            if (ready == 12) s.end(c);
        };
    }
    c.start();
    s.run();
    EXPECT_EQ(ready, 12);
    EXPECT_EQ(s.declares, 2 * objects(small()));
    EXPECT_EQ(keeper.counters().rounds, 2u);
}

TEST(topology_keeper, a_user_who_may_not_declare_is_enough_where_everything_is_there) {
    declaring_stage s;
    s.may_declare = false;
    const topology all = small();
    for (const auto& e : all.exchanges) s.there.insert(std::string(e.exchange));
    for (const auto& q : all.queues) s.there.insert(std::string(q.queue));
    topology_keeper keeper(all);
    client c(s.home, {.urls = {s.to()}});
    user one(c, keeper);
    one.ready = [&] { s.end(c); };
    one.lost = [&](const error& why) { EXPECT_EQ(why.code, errc::stopped) << why.text; };
    c.start();
    s.run();
    EXPECT_EQ(s.declares, 1) << "one refusal is enough";
    EXPECT_EQ(s.looks, objects(all));
    EXPECT_EQ(s.binds, 0);
    EXPECT_EQ(keeper.counters().unbound, all.bindings.size());
}

TEST(topology_keeper, what_is_missing_and_may_not_be_declared_is_named_in_one_line) {
    declaring_stage s;
    s.may_declare = false;
    const topology all = small();
    for (const auto& e : all.exchanges) s.there.insert(std::string(e.exchange));
    topology_keeper keeper(all);
    client c(s.home, {.urls = {s.to()}});
    user one(c, keeper);
    std::optional<error> told;
    one.lost = [&](const error& why) {
        if (told) return;
        told = why;
        s.end(c);
    };
    c.start();
    s.run();
    ASSERT_TRUE(told);
    EXPECT_NE(told->text.find("NOT_FOUND - no " + std::string(all.queues.front().queue)), std::string::npos)
        << told->text;
    EXPECT_NE(told->text.find("ACCESS_REFUSED"), std::string::npos) << told->text;
    EXPECT_TRUE(told->permanent());
}

TEST(topology_keeper, a_queue_that_is_somebody_elses_is_left_out_and_made_when_it_is_missed) {
    declaring_stage s;
    s.locked = "IN_CHAT";
    topology_keeper keeper(small());
    const auto bound = static_cast<int>(small().bindings.size());
    const auto its_bindings = std::ranges::count(small().bindings, "IN_CHAT", &queue_bind::queue);
    ASSERT_GT(its_bindings, 0);
    client c(s.home, {.urls = {s.to()}});
    user one(c, keeper);
    int ready = 0;
    one.ready = [&] {
        if (++ready == 2) return s.end(c);
        EXPECT_EQ(s.declares, objects(small()));
        EXPECT_EQ(s.binds, bound - its_bindings);
        EXPECT_FALSE(s.there.contains("IN_CHAT"));
        s.locked.clear();
        one.link->reopen({errc::channel_closed, 404, "NOT_FOUND - no queue 'IN_CHAT'"});
    };
    c.start();
    s.run();
    EXPECT_EQ(ready, 2);
    EXPECT_TRUE(s.there.contains("IN_CHAT"));
    EXPECT_EQ(s.binds, 2 * bound - its_bindings);
}

TEST(topology_keeper, a_conflict_is_the_brokers_line_and_permanent_for_all_who_wait) {
    declaring_stage s;
    s.conflicting = "IN_CHAT";
    topology_keeper keeper(small());
    client c(s.home, {.urls = {s.to()}});
    user one(c, keeper), two(c, keeper);
    std::vector<std::string> told;
    const auto tell = [&](const error& why) {
        if (why.code == errc::stopped) return;
        EXPECT_TRUE(why.permanent());
        told.push_back(why.text);
        if (told.size() == 2) s.end(c);
    };
    one.lost = two.lost = tell;
    c.start();
    s.run();
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0], "PRECONDITION_FAILED - inequivalent arg for IN_CHAT");
    EXPECT_EQ(told[1], told[0]);
    EXPECT_EQ(keeper.counters().rounds, 1u);
}

}  // namespace foz::contract
