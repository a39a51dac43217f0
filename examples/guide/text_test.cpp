#include "text.hpp"

#include <gtest/gtest.h>

namespace guide {
namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& one : words) all += one + ' ';
    return all;
}

TEST(guide_text, is_the_same_for_the_same_question_and_seed) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) EXPECT_EQ(story("the tide", seed), story("the tide", seed));
    EXPECT_NE(joined(story("the tide", 1)), joined(story("the tide", 2)));
}

TEST(guide_text, speaks_of_what_was_asked_and_leaves_no_mark) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const auto words = story("otters at 5 %", seed);
        EXPECT_GE(words.size(), 20u);
        const std::string text = joined(words);
        EXPECT_NE(text.find("otters at 5 %"), std::string::npos);
        for (const std::string& word : words) EXPECT_FALSE(word.empty());
    }
}

}  // namespace
}  // namespace guide
