#include "aggregator/session/questions.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

constexpr wall_time now{std::chrono::seconds(1000)};

entry_question question(const std::string& id, std::chrono::seconds life = std::chrono::seconds(5)) {
    return {.id = id, .reply_to = "q", .correlation_id = id, .expires = now + life};
}

}  // namespace

TEST(questions, only_who_was_asked_may_answer) {
    questions all;
    all.ask(0, question("a"), 1, now);
    all.ask(0, question("a"), 2, now);
    EXPECT_TRUE(all.find("a", 1) && all.find("a", 2));
    EXPECT_FALSE(all.find("a", 3));
    EXPECT_FALSE(all.find("b", 1));
    EXPECT_EQ(all.find("a", 2)->what.correlation_id, "a");
}

TEST(questions, what_has_expired_gives_way_first_then_what_expires_next) {
    questions all(3);
    all.ask(0, question("late", std::chrono::seconds(60)), 1, now);
    all.ask(0, question("soon", std::chrono::seconds(5)), 1, now);
    all.ask(0, question("later", std::chrono::seconds(90)), 1, now);
    all.ask(0, question("new"), 1, now + std::chrono::seconds(6));
    EXPECT_FALSE(all.find("soon", 1));
    all.ask(0, question("newer", std::chrono::seconds(70)), 1, now);
    EXPECT_FALSE(all.find("new", 1)) << "of those that are open it expires next";
    EXPECT_TRUE(all.find("late", 1) && all.find("later", 1) && all.find("newer", 1));
}

}  // namespace foz::aggregator
