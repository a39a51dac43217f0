#include "aggregator/session/questions.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

constexpr wall_time now{std::chrono::seconds(1000)};

entry_question question(const std::string& id, std::chrono::seconds life = std::chrono::seconds(5)) {
    return {.id = id, .reply_to = "q", .correlation_id = id, .expires = now + life};
}

constexpr member first{.slot = 1}, second{.slot = 2}, third{.slot = 3};

}  // namespace

TEST(questions, only_who_was_asked_may_answer) {
    questions all;
    all.ask(0, question("a"), first, now);
    all.ask(0, question("a"), second, now);
    EXPECT_TRUE(all.find("a", first) && all.find("a", second));
    EXPECT_FALSE(all.find("a", third));
    EXPECT_FALSE(all.find("b", first));
    EXPECT_EQ(all.find("a", second)->what.correlation_id, "a");
}

TEST(questions, what_has_expired_gives_way_first_then_what_expires_next) {
    questions all(3);
    all.ask(0, question("late", std::chrono::seconds(60)), first, now);
    all.ask(0, question("soon", std::chrono::seconds(5)), first, now);
    all.ask(0, question("later", std::chrono::seconds(90)), first, now);
    all.ask(0, question("new"), first, now + std::chrono::seconds(6));
    EXPECT_FALSE(all.find("soon", first));
    all.ask(0, question("newer", std::chrono::seconds(70)), first, now);
    EXPECT_FALSE(all.find("new", first)) << "of those that are open it expires next";
    EXPECT_TRUE(all.find("late", first) && all.find("later", first) && all.find("newer", first));
}

}  // namespace foz::aggregator
