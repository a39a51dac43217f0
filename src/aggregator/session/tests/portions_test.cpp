// What concerns very many sessions is done in portions.
#include "aggregator/session/tests/entries.hpp"
#include "aggregator/session/tests/hub_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace test;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

}  // namespace

TEST(portions, a_queue_that_is_lost_fails_what_waits_for_it_in_portions) {
    hub_fixture f;
    const auto ask = [&](member who, std::string_view channel, int id) {
        f.all.on_text(who, R"({"packet_action":"publish","ack":"answer","message":1,"channel":")" +
                               std::string(channel) + R"(","id":")" + std::to_string(id) + R"("})");
    };
    std::vector<member> all;
    for (int i = 0; i < 1'000; ++i) {
        all.push_back(f.come("c" + std::to_string(i)));
        ask(all.back(), i % 10 == 9 ? "chat" : "voice", i);
    }
    const auto failed = [&] {
        return std::ranges::count_if(all, [&](member who) { return f.count(who, "interrupted") > 0; });
    };
    f.all.interrupt(1);
    EXPECT_EQ(failed(), 0) << "not while the loss is told";
    f.all.work();
    EXPECT_EQ(failed(), 256);
    EXPECT_EQ(f.count(all[0], "interrupted"), 1u) << "who asked first is told first";
    // What is asked when there is a queue again has nothing to do with it; what is answered in time needs no error.
    f.all.set_reply_queue(1, "OUT_VOICE.y");
    ask(all[0], "voice", 5'000);
    const auto& last = f.out.publishes[998];
    f.all.on_outcome(last.ticket, amqp::outcome::confirmed);
    entry answer = *answer_to(last.message);
    answer.channel = 1;
    f.all.dispatch(std::make_shared<const entry>(std::move(answer)));
    f.work();
    EXPECT_EQ(failed(), 899) << "of the volatile channel all but the one that was answered";
    EXPECT_EQ(f.count(all[0], "interrupted"), 1u);
    EXPECT_EQ(f.all.requests_waiting(), 101u);
}

TEST(portions, a_client_that_comes_many_times_is_asked_for_signs_of_life_once) {
    hub_fixture f;
    std::vector<member> all;
    for (int i = 0; i < 1'000; ++i) all.push_back(f.come("a"));
    f.advance(milliseconds(250));
    f.all.work();
    std::size_t pings = 0;
    for (const member who : all) pings += f.count(who, "primus::ping");
    EXPECT_LE(pings, 256u) << "in portions";
    f.work();
    for (const member who : all) EXPECT_EQ(f.count(who, "primus::ping"), who == all.back() ? 0u : 1u);
}

TEST(portions, a_round_of_positions_is_told_in_portions) {
    session_settings config = two_channels();
    config.resume_entries_max = 20;
    hub_fixture f(config);
    std::vector<member> all;
    for (int i = 0; i < 2'000; ++i) {
        all.push_back(f.come("c" + std::to_string(i)));
        f.all.on_text(all.back(), R"({"packet_action":"consume","channel":"chat","distribution":{"multicast":["g"]}})");
    }
    const auto told = [&] { return f.all.counters().positions; };
    for (std::uint64_t i = 1; i <= 10; ++i) {
        const auto before = told();
        f.all.dispatch(said{.offset = i, .how = envelope::via::direct, .to = {"b"}}.make());
        EXPECT_EQ(told(), before) << "not while an entry is dispatched";
        f.all.work();
        EXPECT_LE(told() - before, 256u);
    }
}

TEST(portions, a_drain_is_told_in_portions_and_spread) {
    hub_fixture f;
    std::vector<member> all;
    for (int i = 0; i < 1'000; ++i) all.push_back(f.come("c" + std::to_string(i)));
    f.all.drain();
    f.all.work();
    const auto told = [&] {
        return std::ranges::count_if(all, [&](member who) { return f.count(who, R"("event":"drain")") == 1; });
    };
    EXPECT_LE(told(), 256);
    f.work();
    EXPECT_EQ(told(), 1'000);
    const auto pass = [&](int ticks) {
        for (; ticks > 0; --ticks) {
            f.advance(milliseconds(50));
            f.work();
        }
    };
    pass(20);
    EXPECT_GT(f.out.closed.size(), 300u);
    EXPECT_LT(f.out.closed.size(), 700u);
    pass(30);
    EXPECT_EQ(f.out.closed.size(), 1'000u);
}

// At once, as a message to everybody: whatever a session is told next may stand behind it.
TEST(portions, everybody_hears_of_a_gap_before_what_comes_behind_it) {
    hub_fixture f;
    std::vector<member> all;
    for (int i = 0; i < 1'000; ++i) all.push_back(f.come("c" + std::to_string(i), {0}));
    for (const member who : all) f.take(who);
    f.all.gap(0, envelope::gap_cause::retention);
    f.all.dispatch(numbered(7));
    for (const member who : all) {
        ASSERT_EQ(f.out.sent[who].size(), 2u);
        EXPECT_THAT(f.out.sent[who][0], HasSubstr(R"("event":"gap")"));
        EXPECT_THAT(f.out.sent[who][1], HasSubstr(R"("event":"message")"));
    }
}

}  // namespace foz::aggregator
