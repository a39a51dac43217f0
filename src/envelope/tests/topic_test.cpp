// Goal: topic patterns match as AMQP 0-9-1 §3.1.3.3 says, in bounded time.
#include "envelope/topic.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::envelope {
namespace {

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> out;
    if (text.empty()) return out;
    std::size_t begin = 0;
    for (std::size_t dot; (dot = text.find('.', begin)) != std::string::npos; begin = dot + 1)
        out.push_back(text.substr(begin, dot - begin));
    out.push_back(text.substr(begin));
    return out;
}

// The definition, word by word, with all its branches.
bool defined(const std::vector<std::string>& p, std::size_t i, const std::vector<std::string>& t, std::size_t j) {
    if (i == p.size()) return j == t.size();
    if (p[i] == "#") return defined(p, i + 1, t, j) || (j < t.size() && defined(p, i, t, j + 1));
    return j < t.size() && (p[i] == "*" || p[i] == t[j]) && defined(p, i + 1, t, j + 1);
}

// Every text of at most `words` words out of `from`.
std::vector<std::string> all(const std::vector<std::string>& from, int words) {
    std::vector<std::string> out{""}, last{""};
    for (int n = 0; n < words; ++n) {
        std::vector<std::string> next;
        for (const auto& begin : last)
            for (const auto& word : from) next.push_back(n == 0 ? word : begin + "." + word);
        out.insert(out.end(), next.begin(), next.end());
        last = std::move(next);
    }
    return out;
}

}  // namespace

TEST(topic, table) {
    struct row {
        const char *pattern, *topic;
        bool match;
    };
    for (const row& r : {row{"a.b", "a.b", true},
                         {"a.b", "a.c", false},
                         {"a.b", "a", false},
                         {"a", "a.b", false},
                         {"*", "a", true},
                         {"*", "a.b", false},
                         {"*", "", false},
                         {"*.b", "a.b", true},
                         {"a.*.c", "a.b.c", true},
                         {"a.*.c", "a.c", false},
                         {"#", "", true},
                         {"#", "a", true},
                         {"#", "a.b.c", true},
                         {"a.#", "a", true},
                         {"a.#", "a.b.c", true},
                         {"a.#", "b.a", false},
                         {"#.a", "a", true},
                         {"#.a", "b.c.a", true},
                         {"#.a", "a.b", false},
                         {"a.#.c", "a.c", true},
                         {"a.#.c", "a.b.b.c", true},
                         {"a.#.c", "a.b.c.d", false},
                         {"#.*", "a", true},
                         {"#.*", "", false},
                         {"*.#", "a", true},
                         {"*.#.*", "a", false},
                         {"*.#.*", "a.b", true},
                         {"#.#", "", true},
                         {"#.#.#", "a", true},
                         {"#.b.#", "a.b.c", true},
                         {"#.b.#.b", "a.b.c.b", true},
                         {"#.b.#.b", "a.b", false},
                         {"ab", "a", false},
                         {"a", "ab", false},
                         {"", "", true},
                         {"", "a", false},
                         {"a.*", "a.", true},
                         {"a", "a.", false},
                         {"*.*", "a..b", false},
                         {"*.*.*", "a..b", true},
                         {"A", "a", false},
                         {"\xc3\xa9.*", "\xc3\xa9.x", true}})
        EXPECT_EQ(matches(r.pattern, r.topic), r.match) << r.pattern << " " << r.topic;
}

TEST(topic, every_short_pattern_and_topic_as_defined) {
    const auto topics = all({"a", "b", ""}, 4);
    for (const auto& pattern : all({"a", "b", "*", "#"}, 4)) {
        const auto p = split(pattern);
        for (const auto& topic : topics)
            ASSERT_EQ(matches(pattern, topic), defined(p, 0, split(topic), 0)) << pattern << " " << topic;
    }
}

TEST(topic, many_hashes_do_not_blow_up) {
    std::string pattern = "#", topic = "a";
    for (int i = 0; i < 50; ++i) pattern += ".a.#";
    for (int i = 0; i < 120; ++i) topic += ".a";
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(matches(pattern, topic));
        EXPECT_FALSE(matches(pattern + ".b", topic));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(topic, what_may_be_published_or_consumed) {
    for (const std::string good : {"a", "a.b", "room-1.x_y", "\xc3\xa9", "a b"}) {
        EXPECT_FALSE(check_topic(good)) << good;
        EXPECT_FALSE(check_pattern(good)) << good;
    }
    for (const std::string bad : {"", ".", "a.", ".a", "a..b", "a\n", "\x7f", "\xff", "a.b*", "#a"}) {
        EXPECT_TRUE(check_topic(bad)) << bad;
        EXPECT_TRUE(check_pattern(bad)) << bad;
    }
    for (const std::string pattern : {"*", "#", "a.*.#", "*.b"}) {
        EXPECT_TRUE(check_topic(pattern)) << pattern;
        EXPECT_FALSE(check_pattern(pattern)) << pattern;
    }
    EXPECT_TRUE(check_topic(std::string("a\0b", 3)));
    EXPECT_FALSE(check_topic(std::string(topic_bytes_max, 'x')));
    EXPECT_TRUE(check_topic(std::string(topic_bytes_max + 1, 'x')));
    EXPECT_EQ(channel_bytes_max + 1 + topic_bytes_max, routing_key_bytes_max);
}

// Against all patterns and topics of a few words: what is covered matches nothing more, and hardly any cover is missed.
TEST(topic, a_pattern_covers_another_only_when_it_matches_all_that_the_other_does) {
    const auto patterns = all({"a", "b", "*", "#"}, 3);
    const auto topics = all({"a", "b", "c"}, 4);
    std::size_t missed = 0, covered = 0;
    for (const auto& outer : patterns)
        for (const auto& inner : patterns) {
            bool is_within = true;
            for (const auto& topic : topics)
                if (matches(inner, topic) && !matches(outer, topic)) is_within = false;
            if (covers(outer, inner)) {
                ++covered;
                EXPECT_TRUE(is_within) << outer << " covers " << inner;
            } else if (is_within) {
                ++missed;
            }
        }
    EXPECT_GT(covered, 500u);
    EXPECT_LT(missed, covered / 10) << "such as *.# and #.a";
    for (const auto& pattern : patterns) {
        EXPECT_TRUE(covers(pattern, pattern)) << pattern;
        EXPECT_TRUE(covers("#", pattern)) << pattern;
    }
}

}  // namespace foz::envelope
