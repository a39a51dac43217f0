// What is collected and handed out at once, and answers that come in parts.
#include "aggregator/session/tests/entries.hpp"
#include "aggregator/session/tests/hub_fixture.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Each is written to once for all of them, in order, and before it is told anything that comes behind them.
TEST(hub, what_is_collected_is_handed_out_joined_and_before_anything_else) {
    hub_fixture f;
    const member a = f.come("a", {0}), b = f.come("b", {0});
    const std::size_t sends = f.out.sends;
    for (std::uint64_t i = 1; i <= 3; ++i) f.all.collect(numbered(i));
    EXPECT_THAT(f.heard(a), IsEmpty());
    f.all.hand_out();
    EXPECT_THAT(f.heard(a), ElementsAre("1", "2", "3"));
    EXPECT_THAT(f.heard(b), ElementsAre("1", "2", "3"));
    EXPECT_EQ(f.out.sends - sends, 2u);
    EXPECT_EQ(f.all.counters().deliveries, 6u);

    // Who comes now does not hear what was said before, and who leaves has heard it.
    f.all.collect(numbered(4));
    const member c = f.come("c", {0});
    EXPECT_THAT(f.heard(c), IsEmpty());
    f.all.collect(numbered(5));
    f.all.on_text(b, R"({"packet_action":"leave","channel":"chat"})");
    f.all.collect(numbered(6));
    f.all.gap(0, envelope::gap_cause::lost);
    EXPECT_THAT(f.heard(a), ElementsAre("1", "2", "3", "4", "5", "6"));
    EXPECT_THAT(f.out.sent[a].back(), HasSubstr("gap"));
    EXPECT_THAT(f.heard(b), ElementsAre("1", "2", "3", "4", "5"));
    EXPECT_THAT(f.heard(c), ElementsAre("5", "6"));
}

TEST(hub, a_position_is_told_behind_what_was_collected_before_it) {
    hub_fixture f;
    const member a = f.come("a", {0});
    f.all.collect(numbered(1));
    f.all.collect(numbered(2));
    f.advance(seconds(33));
    const auto& sent = f.out.sent[a];
    const auto position = std::ranges::find_if(sent, [](auto& text) { return text.contains(R"("event":"position")"); });
    ASSERT_NE(position, sent.end());
    EXPECT_EQ(std::ranges::count_if(sent.begin(), position, [](auto& t) { return t.contains(R"("event":"message")"); }),
              2);
}

TEST(hub, parts_come_before_the_answer_and_each_gives_the_service_more_time) {
    hub_fixture f;
    const member a = f.come("a"), b = f.come("a");
    f.all.on_text(
        a, R"({"packet_action":"publish","channel":"chat","id":"m1","ack":"answer","timeout_ms":1000,"message":1})");
    f.all.on_outcome(f.out.publishes[0].ticket, amqp::outcome::confirmed);
    const auto part = [&](std::uint64_t attempt, std::uint64_t seq) {
        auto made = std::make_shared<entry>(
            *answer_to(f.out.publishes[0].message, std::to_string(seq), entry_answer::kind::part));
        made->where = place_of(seq + 10 * attempt);
        made->answer->attempt = attempt;
        made->answer->seq = seq;
        return made;
    };
    for (std::uint64_t seq = 0; seq < 4; ++seq) {
        f.all.dispatch(part(1, seq));
        f.advance(milliseconds(800));
    }
    f.all.dispatch(part(2, 0));
    f.all.dispatch(answer_to(f.out.publishes[0].message));
    const auto all = f.take(a);
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(all[1], R"({"event":"part","channel":"chat","id":"m1","attempt":1,"seq":1,"position":")" +
                          envelope::to_string(place_of(11)) + R"(","message":1})");
    EXPECT_THAT(all[4], HasSubstr(R"("attempt":2,"seq":0)"));
    EXPECT_EQ(all[5], R"({"event":"answer","id":"m1","message":"yes"})");
    EXPECT_THAT(f.heard(b), IsEmpty());

    // Asked elsewhere: every socket of the client hears it, by its id.
    hub_fixture other;
    const member c = other.come("a");
    other.all.dispatch(part(1, 5));
    EXPECT_THAT(other.take(c),
                ElementsAre(HasSubstr(R"("event":"part","channel":"chat","id":"m1","attempt":1,"seq":5)")));
}

}  // namespace foz::aggregator
