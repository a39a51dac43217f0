#include "net/shard.hpp"

#include "net/runtime.hpp"

#include <thread>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace foz::net {
namespace {

// However slow the machine is, a turn's time is not up.
struct standing_clock final : clock {
    steady_time now() const override { return steady_time(std::chrono::hours(1)); }
};

}  // namespace

TEST(shard, mail_of_each_sender_arrives_in_order_on_the_shards_thread) {
    constexpr int senders = 4, count = 5000;
    runtime cores(1);
    std::vector<std::vector<int>> got(senders);
    int total = 0;
    std::thread::id shard_thread;
    std::vector<std::jthread> threads;
    for (int s = 0; s < senders; ++s)
        threads.emplace_back([&, s] {
            for (int i = 0; i < count; ++i)
                cores.at(0).post([&, s, i] {
                    got[s].push_back(i);
                    shard_thread = std::this_thread::get_id();
                    if (++total == senders * count) cores.stop();
                });
        });
    cores.run();
    EXPECT_EQ(shard_thread, std::this_thread::get_id());
    for (const auto& numbers : got) {
        ASSERT_EQ(numbers.size(), static_cast<std::size_t>(count));
        EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    }
}

TEST(shard, turn_listeners_run_once_after_all_ready_handlers) {
    struct counting_listener : turn_listener {
        void on_turn_end(write_line) override { seen.push_back(handled); }
        int handled = 0;
        std::vector<int> seen;
    };
    const standing_clock time;
    runtime cores(1, time);
    const auto one = std::make_shared<counting_listener>();
    shard& home = cores.at(0);
    for (int i = 0; i < 10; ++i)
        asio::post(home.context(), [&] {
            if (++one->handled == 1) home.at_turn_end(one);
            if (one->handled == 10) asio::post(home.context(), [&] { cores.stop(); });
        });
    cores.run();
    EXPECT_EQ(one->seen.size(), 1u);
    EXPECT_EQ(one->seen.front(), 10);
}

TEST(shard, a_turn_ends_early_when_it_is_asked_to) {
    struct counting_listener : turn_listener {
        void on_turn_end(write_line) override { seen = handled; }
        int handled = 0;
        int seen = 0;
    };
    const standing_clock time;
    runtime cores(1, time);
    const auto one = std::make_shared<counting_listener>();
    shard& home = cores.at(0);
    for (int i = 0; i < 10; ++i)
        asio::post(home.context(), [&] {
            if (++one->handled == 3) {
                home.at_turn_end(one);
                home.end_turn_soon();
            }
            if (one->handled == 10) cores.stop();
        });
    cores.run();
    EXPECT_EQ(one->seen, 3);
}

TEST(runtime, shards_can_talk_to_each_other_and_all_end) {
    runtime cores(4);
    int hops = 0;
    std::function<void(unsigned)> hop = [&](unsigned at) {
        if (++hops == 1000) return cores.stop();
        cores.at((at + 1) % cores.size()).post([&hop, next = (at + 1) % cores.size()] { hop(next); });
    };
    cores.at(0).post([&] { hop(0); });
    cores.run();
    EXPECT_EQ(hops, 1000);
}

}  // namespace foz::net
