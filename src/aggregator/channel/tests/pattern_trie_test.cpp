// The trie finds the patterns that envelope::matches() accepts, and no others.
#include "aggregator/channel/pattern_trie.hpp"

#include "envelope/topic.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

std::vector<std::uint32_t> found(const pattern_trie& trie, std::string_view topic) {
    std::vector<std::uint32_t> all;
    trie.match(topic, all);
    return all;
}

std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> all) {
    std::sort(all.begin(), all.end());
    return all;
}

// Of a small alphabet, so that much matches; now and then with words that no client may name.
std::string random_text(std::mt19937_64& random, bool pattern) {
    static constexpr const char* words[] = {"a", "b", "c", "ab", "", "*", "#", "#", "*"};
    std::string text;
    const std::size_t count = random() % 6;
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) text += '.';
        const bool odd = random() % 8 == 0;
        text += words[pattern ? random() % std::size(words) : odd ? random() % 7 : random() % 4];
    }
    return text;
}

}  // namespace

TEST(pattern_trie, a_star_is_one_word_and_a_hash_is_any_number) {
    pattern_trie trie(1);
    const std::vector<std::string> patterns = {"room.*", "room.#", "#", "*.1", "#.1", "room.*.x", "*", "room.#.x"};
    for (std::uint32_t i = 0; i < patterns.size(); ++i) trie.insert(patterns[i], i);
    const auto texts = [&](std::string_view topic) {
        std::vector<std::string> all;
        for (const std::uint32_t each : sorted(found(trie, topic))) all.push_back(patterns[each]);
        return all;
    };
    using list = std::vector<std::string>;
    EXPECT_EQ(texts("room.1"), (list{"room.*", "room.#", "#", "*.1", "#.1"}));
    EXPECT_EQ(texts("room"), (list{"room.#", "#", "*"}));
    EXPECT_EQ(texts("room.x"), (list{"room.*", "room.#", "#", "room.#.x"}));
    EXPECT_EQ(texts("room.1.x"), (list{"room.#", "#", "room.*.x", "room.#.x"}));
    EXPECT_EQ(texts("other"), (list{"#", "*"}));
    EXPECT_EQ(texts(""), (list{"#"}));
}

TEST(pattern_trie, finds_what_matches_accepts) {
    std::size_t matched = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937_64 random(seed);
        pattern_trie trie(seed);
        std::map<std::string, std::uint32_t> model;
        for (std::uint32_t step = 0; step < 200; ++step) {
            const std::string pattern = random_text(random, true);
            const auto known = model.find(pattern);
            ASSERT_EQ(trie.find(pattern), known == model.end() ? pattern_trie::none : known->second) << pattern;
            if (known == model.end()) {
                trie.insert(pattern, step);
                model.emplace(pattern, step);
            } else {
                trie.erase(pattern);
                model.erase(known);
            }
            ASSERT_EQ(trie.size(), model.size());
            const std::string topic = random_text(random, false);
            std::vector<std::uint32_t> wanted;
            for (const auto& [text, value] : model)
                if (envelope::matches(text, topic)) wanted.push_back(value);
            matched += wanted.size();
            ASSERT_EQ(sorted(found(trie, topic)), sorted(wanted)) << topic;
        }
    }
    EXPECT_GT(matched, 100'000u) << "otherwise nothing was compared";
}

TEST(pattern_trie, many_hashes_are_not_tried_in_all_their_combinations) {
    pattern_trie trie(1);
    std::string pattern, topic;
    for (int i = 0; i < 50; ++i) pattern += "#.a.";
    for (int i = 0; i < 100; ++i) topic += "a.";
    trie.insert(pattern + "b", 1);
    trie.insert(pattern + "a", 2);
    EXPECT_EQ(found(trie, topic + "a"), std::vector<std::uint32_t>{2});
}

TEST(pattern_trie, the_order_does_not_depend_on_the_seed) {
    const auto run = [](std::uint64_t hash_seed) {
        std::mt19937_64 random(5);
        pattern_trie trie(hash_seed);
        std::vector<std::uint32_t> all;
        for (std::uint32_t step = 0; step < 500; ++step) {
            const std::string pattern = random_text(random, true);
            trie.find(pattern) == pattern_trie::none ? trie.insert(pattern, step) : trie.erase(pattern);
            trie.match(random_text(random, false), all);
        }
        return all;
    };
    EXPECT_EQ(run(1), run(2));
    EXPECT_FALSE(run(1).empty());
}

}  // namespace foz::aggregator
