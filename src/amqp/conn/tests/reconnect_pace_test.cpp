#include "amqp/conn/reconnect_pace.hpp"

#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
const steady_time begin{100s};

}  // namespace

// A broker that is away for so long, and clients that lost it with the beginning.
TEST(reconnect_pace, a_broker_that_returns_is_met_within_a_tenth_of_its_absence) {
    for (const milliseconds outage : {100ms, 500ms, 1'000ms, 3'000ms, 20'000ms}) {
        std::mt19937_64 random(static_cast<std::uint64_t>(outage.count()));
        milliseconds latest{0}, sum{0};
        std::size_t attempts = 0;
        constexpr int clients = 200;
        for (int i = 0; i < clients; ++i) {
            reconnect_pace pace(50ms, 5s);
            steady_time now = begin;
            for (link_end what = link_end::lost; now < begin + outage; what = link_end::unanswered, ++attempts)
                now += milliseconds(random() % (static_cast<std::uint64_t>(pace.longest_after(what, now).count()) + 1));
            const auto late = std::chrono::floor<milliseconds>(now - (begin + outage));
            latest = std::max(latest, late);
            sum += late;
        }
        EXPECT_LE(latest, std::max<milliseconds>(50ms, outage / 10)) << outage.count();
        EXPECT_LE(sum / clients, std::max<milliseconds>(25ms, outage / 20)) << outage.count();
        EXPECT_LE(attempts / clients, 150u) << outage.count();
    }
}

TEST(reconnect_pace, who_answers_and_lets_nobody_in_is_asked_half_as_often_each_time) {
    reconnect_pace pace(50ms, 5s);
    EXPECT_EQ(pace.longest_after(link_end::lost, begin), 50ms);
    std::vector<milliseconds> pauses;
    for (int i = 0; i < 8; ++i)
        pauses.push_back(pace.longest_after(i % 2 ? link_end::turned_down : link_end::lost_early, begin));
    EXPECT_EQ(pauses, (std::vector<milliseconds>{100ms, 200ms, 400ms, 800ms, 1'600ms, 3'200ms, 5s, 5s}));
    EXPECT_EQ(pace.longest_after(link_end::lost, begin), 50ms);
    EXPECT_EQ(pace.longest_after(link_end::lost_by_sick, begin), 50ms) << "the channel has pauses of its own";
}

TEST(reconnect_pace, an_answer_ends_the_silence_and_silence_forgets_no_refusal) {
    reconnect_pace pace(50ms, 5s);
    pace.longest_after(link_end::unanswered, begin);
    EXPECT_EQ(pace.longest_after(link_end::unanswered, begin + 20s), 2s);
    EXPECT_EQ(pace.longest_after(link_end::unanswered, begin + 600s), 5s);
    EXPECT_EQ(pace.longest_after(link_end::turned_down, begin + 600s), 50ms);
    EXPECT_EQ(pace.longest_after(link_end::unanswered, begin + 601s), 50ms);
    EXPECT_EQ(pace.longest_after(link_end::turned_down, begin + 601s), 100ms);
}

}  // namespace foz::amqp
