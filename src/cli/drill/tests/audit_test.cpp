#include "cli/drill/audit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::cli::drill {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const instant zero{};

instant at(int ms) {
    return zero + milliseconds(ms);
}

// Two clients on one channel, of which the first writes four requests: everything as it should be.
history good_history() {
    history all{.begun = at(0), .ended = at(500)};
    for (const char* const name : {"client 1", "client 2"}) {
        line one;
        one.client = name;
        one.channel = "chat";
        one.listening = at(0);
        all.lines.push_back(one);
    }
    for (std::uint32_t n = 1; n <= 4; ++n) {
        operation made;
        made.written = at(static_cast<int>(n) * 100);
        made.settled = at(static_cast<int>(n) * 100 + 20);
        made.how = outcome::answered;
        made.request = true;
        all.lines[0].operations.push_back(made);
        for (line& one : all.lines) one.heard.push_back({0, n, at(static_cast<int>(n) * 100 + 10)});
        all.runs.push_back({0, n});
    }
    return all;
}

TEST(drill_audit, finds_nothing_where_every_promise_was_kept) {
    const findings found = audit(good_history(), {});
    EXPECT_THAT(found.violations, IsEmpty());
    EXPECT_EQ(found.written, 4u);
    EXPECT_EQ(found.acknowledged, 4u);
    EXPECT_EQ(found.delivered, 8u);
    EXPECT_EQ(found.lost + found.repeated + found.disordered + found.unknown + found.refused + found.reruns, 0u);
}

TEST(drill_audit, finds_an_acknowledged_message_that_was_not_delivered) {
    history all = good_history();
    all.lines[1].heard.erase(all.lines[1].heard.begin() + 2);
    const findings found = audit(all, {});
    EXPECT_EQ(found.lost, 1u);
    EXPECT_THAT(found.violations, Contains(HasSubstr("message 3 of client 1 on chat is lost")));
}

TEST(drill_audit, does_not_call_lost_what_nobody_acknowledged) {
    history all = good_history();
    all.lines[1].heard.erase(all.lines[1].heard.begin() + 2);
    all.lines[0].operations[2].how = outcome::refused;
    all.lines[0].operations[2].code = "unavailable";
    const findings found = audit(all, {.refusals = {"unavailable"}});
    EXPECT_EQ(found.lost, 0u);
    EXPECT_THAT(found.violations, IsEmpty());
}

TEST(drill_audit, who_came_later_need_not_hear_what_was_written_before) {
    history all = good_history();
    all.lines[1].listening = at(150);
    all.lines[1].heard.erase(all.lines[1].heard.begin());
    EXPECT_THAT(audit(all, {}).violations, IsEmpty());
}

TEST(drill_audit, a_stock_client_misses_what_comes_while_it_is_away_and_a_plugin_client_does_not) {
    history all = good_history();
    all.lines[1].away.push_back({at(290), at(350)});
    all.lines[1].heard.erase(all.lines[1].heard.begin() + 2);
    EXPECT_EQ(audit(all, {}).lost, 1u);
    all.lines[1].resumes = false;
    EXPECT_EQ(audit(all, {}).lost, 0u);
    EXPECT_EQ(audit(all, {}).missed, 1u);
}

TEST(drill_audit, finds_a_message_that_came_twice) {
    history all = good_history();
    all.lines[1].heard.push_back({0, 4, at(450)});
    const findings found = audit(all, {});
    EXPECT_EQ(found.repeated, 1u);
    EXPECT_FALSE(found.good());
}

TEST(drill_audit, finds_messages_of_one_sender_in_the_wrong_order) {
    history all = good_history();
    for (line& one : all.lines) std::swap(one.heard[1].number, one.heard[2].number);
    const findings found = audit(all, {});
    EXPECT_EQ(found.disordered, 2u);
    EXPECT_THAT(found.violations, Contains(HasSubstr("behind a later one")));
}

TEST(drill_audit, plain_writes_may_overtake_each_other_unless_the_channel_keeps_their_order) {
    history all = good_history();
    for (operation& one : all.lines[0].operations) one.how = outcome::confirmed;
    for (line& one : all.lines) std::swap(one.heard[1].number, one.heard[2].number);
    EXPECT_THAT(audit(all, {}).violations, IsEmpty());
    all.lines[0].ordered = true;
    EXPECT_EQ(audit(all, {}).disordered, 2u);
}

TEST(drill_audit, finds_two_clients_that_heard_in_different_orders) {
    history all = good_history();
    all.lines[1].operations.push_back(all.lines[0].operations[1]);  // written at the same time as the other's
    all.lines[0].heard.insert(all.lines[0].heard.begin() + 1, {1, 1, at(205)});
    all.lines[1].heard.insert(all.lines[1].heard.begin() + 2, {1, 1, at(215)});
    EXPECT_EQ(audit(all, {}).disordered, 1u);
}

TEST(drill_audit, an_unknown_outcome_needs_a_socket_that_ended_and_a_stock_client) {
    history all = good_history();
    operation& one = all.lines[0].operations[3];
    one.how = outcome::unknown;
    EXPECT_FALSE(audit(all, {}).good());
    one.cut = true;
    EXPECT_FALSE(audit(all, {}).good()) << "the plugin sends it again";
    all.lines[0].resumes = false;
    const findings found = audit(all, {});
    EXPECT_TRUE(found.good());
    EXPECT_EQ(found.unknown, 1u);
    EXPECT_EQ(found.explained, 1u);
}

TEST(drill_audit, finds_an_error_that_the_drill_does_not_expect) {
    history all = good_history();
    operation& one = all.lines[0].operations[3];
    one.how = outcome::refused;
    one.code = "timeout";
    EXPECT_FALSE(audit(all, {}).good());
    EXPECT_TRUE(audit(all, {.refusals = {"timeout"}}).good());
    one.expected = "dead_lettered";
    EXPECT_FALSE(audit(all, {.refusals = {"timeout"}}).good());
    one.code = "dead_lettered";
    EXPECT_TRUE(audit(all, {}).good());
    one.how = outcome::answered;
    EXPECT_FALSE(audit(all, {}).good()) << "a poison that is answered";
}

TEST(drill_audit, a_gap_is_a_violation_unless_the_drill_allows_it) {
    history all = good_history();
    all.lines[1].heard.erase(all.lines[1].heard.begin() + 2);
    all.lines[1].gaps.push_back({at(350), "too_far"});
    EXPECT_FALSE(audit(all, {}).good());
    const findings found = audit(all, {.gaps = true});
    EXPECT_TRUE(found.good());
    EXPECT_EQ(found.missed, 1u);
    EXPECT_EQ(found.gaps, 1u);
}

TEST(drill_audit, volatile_channels_may_miss_where_what_died_held_their_state) {
    history all = good_history();
    for (line& one : all.lines) one.durable = false;
    all.lines[1].heard.erase(all.lines[1].heard.begin() + 2);
    EXPECT_FALSE(audit(all, {}).good());
    EXPECT_TRUE(audit(all, {.volatile_loss = true}).good());
}

TEST(drill_audit, volatile_channels_may_hear_late_where_what_died_held_their_state) {
    history all = good_history();
    for (line& one : all.lines) {
        one.durable = false;
        std::swap(one.heard[1].number, one.heard[2].number);
    }
    EXPECT_EQ(audit(all, {}).disordered, 2u);
    EXPECT_TRUE(audit(all, {.volatile_loss = true}).good());
}

TEST(drill_audit, finds_what_nobody_has_written) {
    history all = good_history();
    all.lines[1].heard.push_back({0, 99, at(450)});
    EXPECT_FALSE(audit(all, {}).good());
}

TEST(drill_audit, counts_runs_and_reruns) {
    history all = good_history();
    all.runs.push_back({0, 2});
    const findings found = audit(all, {});
    EXPECT_EQ(found.runs, 5u);
    EXPECT_EQ(found.reruns, 1u);
    EXPECT_TRUE(found.good()) << "handlers run at least once";
}

TEST(drill_audit, measures_the_longest_silence_after_each_fault) {
    history all = good_history();
    all.lines[1].heard[2].at = at(390);  // 210, then 390
    all.faults.push_back({at(250), "a fault"});
    const findings found = audit(all, {});
    EXPECT_EQ(found.silences.max(), milliseconds(180));
    EXPECT_EQ(found.faults, 1u);
}

TEST(drill_audit, measures_what_of_a_silence_lies_behind_the_outage) {
    history all = good_history();
    all.lines.erase(all.lines.begin() + 1);
    all.faults.push_back({at(215), "an outage", at(280)});  // heard at 210 and 310
    all.faults.push_back({at(320), "another one", at(350)});
    const findings found = audit(all, {});
    EXPECT_THAT(found.silences.all, ElementsAre(milliseconds(100), milliseconds(100)));
    EXPECT_THAT(found.recoveries.all, ElementsAre(milliseconds(30), milliseconds(90)));
    EXPECT_THAT(found.undisturbed.all, ElementsAre(milliseconds(110))) << "from the beginning to the first message";
}

TEST(drill_audit, tells_only_some_of_many_violations_of_a_kind) {
    history all = good_history();
    for (int i = 0; i < 50; ++i) all.lines[1].heard.push_back({0, 4, at(450)});
    const findings found = audit(all, {});
    EXPECT_EQ(found.repeated, 50u);
    EXPECT_LT(found.violations.size(), 10u);
    EXPECT_THAT(found.violations, Contains(HasSubstr("45 more such")));
}

}  // namespace
}  // namespace foz::cli::drill
