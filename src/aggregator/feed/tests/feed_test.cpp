// Readers and a real broker, with a sink that says when what it was given is dispatched: FOZ_TEST_BROKER is its URL.
#include "aggregator/feed/catch_up.hpp"
#include "aggregator/feed/readers.hpp"
#include "contract/names.hpp"
#include "contract/topology.hpp"
#include "net/runtime.hpp"

#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <set>
#include <thread>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace std::chrono_literals;
using resume = envelope::resume_from;

settings settings_for_test() {
    const char* broker = std::getenv("FOZ_TEST_BROKER");
    if (!broker) throw std::runtime_error("FOZ_TEST_BROKER is not set: run this test through ctest");
    std::string name = "t";
    for (const char c : system_random().token())
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) name += c;
    settings all;
    all.consume_urls = all.publish_urls = {*amqp::parse_url(broker)};
    all.channels = {{.name = name.substr(0, 20)}};
    all.history_entries = 0;
    return all;
}

settings with_topology(settings all) {
    all.topology = std::make_shared<contract::topology_keeper>(contract::make_topology(all.channels));
    return all;
}

// One channel's feed on a thread of its own. Everything but the constructor and call() runs there.
struct feed final : feed_sink {
    explicit feed(settings how) : all(with_topology(std::move(how))) {
        client.start();
        thread = std::thread([this] { cores.run(); });
    }
    ~feed() {
        cores.stop();
        thread.join();
    }

    template <class Work>
    auto call(Work work) {
        std::promise<decltype(work())> done;
        home.post([&] {
            if constexpr (std::is_void_v<decltype(work())>) {
                work();
                done.set_value();
            } else {
                done.set_value(work());
            }
        });
        return done.get_future().get();
    }
    void wait(const std::function<bool()>& until) {
        for (int i = 0; i < 6'000; ++i) {
            if (call(until)) return;
            std::this_thread::sleep_for(10ms);
        }
        FAIL() << "in vain waited 60 s";
    }
    void read() {
        call([this] { reader.emplace(client, publisher, all, 0, *this); });
        wait([this] { return attached > 0; });
    }
    // Broadcasts with the bodies from…to - 1, confirmed.
    void say(int from, int to, std::size_t fill = 0) {
        std::promise<void> confirmed;
        int left = to - from;
        home.post([&] {
            for (int n = from; n < to; ++n) {
                amqp::publication p;
                p.exchange = contract::outbound_exchange;
                p.routing_key = all.channels[0].name;
                p.properties.message_id = "m" + std::to_string(n);
                p.properties.headers = amqp::table{{"foz-broadcast", true}};
                p.body = "[" + std::to_string(n) + ",\"" + std::string(fill, 'x') + "\"]";
                publisher.publish(std::move(p), 60s, [&](amqp::outcome result) {
                    EXPECT_EQ(result, amqp::outcome::confirmed);
                    if (--left == 0) confirmed.set_value();
                });
            }
        });
        confirmed.get_future().get();
    }
    void ask(std::uint64_t session, const resume& from) {
        call([&] { older.add({.who = id(session), .from = from}); });
    }
    static reading_id id(std::uint64_t session) { return {.channel = 0, .shard = 0, .session = session, .ticket = 1}; }
    static int number(const entry& one) {
        const std::string& frame = *one.routes.at(0).head;
        return std::stoi(frame.substr(frame.find("\"message\":[") + 11));
    }

    void on_entry(std::size_t, const entry_ref& what, bool old, delivery_ticket ticket) override {
        last = ticket;
        places.push_back(*what->where);
        if (!what->routes.empty()) {
            (old ? history : heard).push_back(number(*what));
            place_of.try_emplace(number(*what), *what->where);
        }
        open += what->bytes();
        most_open = std::max(most_open, open);
        if (dispatches) settle();
    }
    void settle() {
        open = 0;
        reader->settled(last);
    }
    void on_attached(std::size_t, const std::string&) override { ++attached; }
    void on_detached(std::size_t, const amqp::error& why) override { detached.push_back(why.text); }
    void on_gap(std::size_t, envelope::gap_cause cause, const std::optional<envelope::position>&) override {
        gaps.push_back(cause);
    }
    void on_history_void(std::size_t) override { ++voids; }
    void on_dropped(std::size_t, drop_reason, std::string_view) override { ++dropped; }
    void on_page(const reading_id& to, page what) override {
        auto& pages_of = pages[to.session];
        if (what.gap) pages_of.gaps.push_back(*what.gap);
        for (std::size_t n = what.begin; n < what.entries->size(); ++n)
            if (const entry& one = *(*what.entries)[n]; !one.routes.empty()) pages_of.heard.push_back(number(one));
        EXPECT_LE(what.begin, what.entries->size());
        pages_of.last = what.last;
        const bool more = !what.last && (!what.gap || *what.gap != envelope::gap_cause::recreated);
        if (!deaf.contains(to.session)) home.post([this, to, more] { older.taken(to, more); });
    }

    struct read_by_session {
        std::vector<int> heard;
        std::vector<envelope::gap_cause> gaps;
        bool last = false;
    };

    const settings all;
    net::runtime cores{1};
    net::shard& home = cores.at(0);
    amqp::client client{home, {.urls = all.consume_urls, .connection_name = "feed test"}};
    amqp::publisher publisher{client};
    std::optional<stream_reader> reader;
    catch_up older{client, publisher, all, 0, *this};
    std::thread thread;

    bool dispatches = true;
    delivery_ticket last;
    std::size_t open = 0, most_open = 0;
    std::vector<int> heard, history;
    std::vector<envelope::position> places;  // markers' as well, of which there may be any number
    std::map<int, envelope::position> place_of;
    std::vector<envelope::gap_cause> gaps;
    std::vector<std::string> detached;
    int attached = 0, voids = 0, dropped = 0;
    std::map<std::uint64_t, read_by_session> pages;
    std::set<std::uint64_t> deaf;  // sessions that don't take their page
};

std::vector<int> numbers(int from, int to) {
    std::vector<int> all;
    for (; from < to; ++from) all.push_back(from);
    return all;
}

}  // namespace

TEST(feed, what_the_shards_have_not_dispatched_is_bounded_and_the_rest_comes_from_the_stream) {
    settings all = settings_for_test();
    all.reader_bytes_max = 256 * 1024;
    feed f(all);
    f.read();
    f.call([&] { f.dispatches = false; });
    constexpr int count = 1'000;
    f.say(0, count, 4'000);
    // It parks; or, when it was attached anew meanwhile, its prefetch is what fits.
    f.wait([&] { return f.open > all.reader_bytes_max - 16 * 1024; });
    EXPECT_LT(f.call([&] { return f.heard.size(); }), 100u);
    // Slowly: all that waits, then nothing for a while.
    for (int slices = 0; slices < 100 && f.call([&] { return f.heard.size(); }) < count; ++slices) {
        const std::size_t before = f.call([&] { return f.heard.size(); });
        f.call([&] { f.settle(); });
        f.wait([&] { return f.heard.size() > before; });
    }
    f.wait([&] { return f.heard.size() >= count; });
    EXPECT_EQ(f.call([&] { return f.heard; }), numbers(0, count));
    EXPECT_LT(f.call([&] { return f.most_open; }), all.reader_bytes_max + 8 * 1024);
    EXPECT_EQ(f.call([&] { return f.gaps.size() + f.detached.size(); }), 0u);
}

TEST(feed, begins_behind_the_end_with_history) {
    settings all = settings_for_test();
    all.history_entries = 50;
    feed before(all);
    before.read();
    before.say(0, 200);
    feed fresh(all);
    fresh.read();
    EXPECT_EQ(fresh.call([&] { return fresh.history.back(); }), 199);
    EXPECT_GE(fresh.call([&] { return fresh.history.size(); }), 40u) << "markers are among the fifty";
    EXPECT_EQ(fresh.call([&] { return fresh.heard; }), std::vector<int>{});
    fresh.say(199, 200);  // again, under the same id
    fresh.say(200, 210);
    fresh.wait([&] { return fresh.heard.size() >= 10; });
    EXPECT_EQ(fresh.call([&] { return fresh.heard; }), numbers(200, 210));
    EXPECT_TRUE(std::ranges::is_sorted(fresh.call([&] { return fresh.places; }), {}, &envelope::position::offset));
    EXPECT_EQ(fresh.call([&] { return fresh.attached; }), 1);
    EXPECT_EQ(fresh.call([&] { return fresh.detached; }), std::vector<std::string>{});
}

TEST(feed, a_stream_made_anew_is_read_from_its_beginning) {
    feed f(settings_for_test());
    f.read();
    f.say(0, 20);
    f.wait([&] { return f.heard.size() == 20; });
    feed other(f.all);  // what deletes it
    other.read();
    other.call([&] { other.reader.reset(); });
    struct deleter final : amqp::channel_handler {
        explicit deleter(std::string name) { method.queue = std::move(name); }
        boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override {
            auto gone = co_await self.call(method);
            done.set_value();
            if (!gone) co_return std::unexpected(gone.error());
            co_return amqp::result<void>{};
        }
        amqp::queue_delete method;
        std::promise<void> done;
    } deletes(f.all.channels[0].out_queue());
    std::shared_ptr<amqp::channel> link = other.call([&] { return other.client.open_channel(deletes); });
    deletes.done.get_future().get();
    other.call([&] { link->close(); });
    f.wait([&] { return f.gaps.size() == 1 && f.attached >= 2; });
    EXPECT_EQ(f.call([&] { return f.gaps; }), std::vector{envelope::gap_cause::recreated});
    f.say(20, 25);
    f.wait([&] { return f.heard.size() == 25; });
    EXPECT_EQ(f.call([&] { return f.heard; }), numbers(0, 25));
}

TEST(feed, whoever_comes_back_reads_from_its_place_and_the_slow_hold_nobody_up) {
    feed f(settings_for_test());
    f.read();
    constexpr int count = 2'000;
    f.say(0, count, 100);
    f.say(5, 6);  // again, under the same id
    f.say(count, count + 1);
    f.wait([&] { return f.heard.size() == count + 1; });
    const auto place_of = [&](int n) { return f.call([&] { return f.place_of.at(n); }); };
    f.call([&] { f.deaf = {100, 101}; });
    for (const std::uint64_t slow : {100u, 101u}) f.ask(slow, {.what = resume::kind::first, .where = {}});
    f.ask(1, {.what = resume::kind::first, .where = {}});
    f.ask(2, {.what = resume::kind::at, .where = place_of(9)});
    f.ask(3, {.what = resume::kind::at, .where = place_of(1'500)});
    envelope::position wrong = place_of(700);
    wrong.check ^= 1;
    f.ask(4, {.what = resume::kind::at, .where = wrong});
    f.ask(5, {.what = resume::kind::at, .where = {.offset = 1'000'000}});
    f.ask(6, {.what = resume::kind::at, .where = {.offset = UINT64_MAX}});
    f.ask(7, {.what = resume::kind::since, .since_ms = 1'000, .where = {}});
    f.wait([&] { return f.older.readings() == 2; });
    const auto read = [&](std::uint64_t session) { return f.call([&] { return f.pages[session]; }); };
    const std::vector<envelope::gap_cause> none, recreated{envelope::gap_cause::recreated};
    EXPECT_EQ(read(1).heard, numbers(0, count + 1)) << "what was said again is heard once";
    EXPECT_EQ(read(2).heard, numbers(10, count + 1));
    EXPECT_EQ(read(3).heard, numbers(1'501, count + 1));
    EXPECT_EQ(read(7).heard, numbers(0, count + 1));
    for (const std::uint64_t good : {1u, 2u, 3u, 7u}) {
        EXPECT_EQ(read(good).gaps, none);
        EXPECT_TRUE(read(good).last) << "a marker shows that nothing more is there";
    }
    for (const std::uint64_t bad : {4u, 5u, 6u}) EXPECT_EQ(read(bad).gaps, recreated) << bad;
    // The slow ones go on when they take their page.
    f.call([&] {
        f.deaf.clear();
        for (const std::uint64_t slow : {100u, 101u}) f.older.taken(feed::id(slow), true);
    });
    f.wait([&] { return f.older.readings() == 0; });
    for (const std::uint64_t slow : {100u, 101u}) EXPECT_EQ(read(slow).heard, numbers(0, count + 1));
}

// What is read ahead for those who come back is bounded, too, however large the entries are.
TEST(feed, large_entries_are_read_in_portions) {
    feed f(settings_for_test());
    f.read();
    constexpr int count = 60;
    f.say(0, count, 200'000);
    f.ask(1, {.what = resume::kind::first, .where = {}});
    f.wait([&] { return f.older.readings() == 0; });
    EXPECT_EQ(f.call([&] { return f.pages[1].heard; }), numbers(0, count));
    EXPECT_EQ(f.call([&] { return f.pages[1].gaps.size(); }), 0u);
}

}  // namespace foz::aggregator
