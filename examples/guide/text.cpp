#include "text.hpp"

#include <array>
#include <cstddef>
#include <random>
#include <span>
#include <utility>

namespace guide {
namespace {

// "%" stands for what the story is about.
constexpr std::array<std::string_view, 5> beginnings = {
    "Somebody asked about % this morning, and the river has talked of nothing else since.",
    "High in the hills, where the first spring comes out of the rock, people still speak of %.",
    "There are three things to know about %, and the oldest boatman here knows four.",
    "If you want to understand %, begin where the water begins.",
    "Nobody on this shore agrees about %, which is why they all come to tell me.",
};
constexpr std::array<std::string_view, 6> middles = {
    "Each stream that joins brings its own word, and none of them waits for another.",
    "A branch may fall dry in summer; the water finds the next bed before anyone downstream has noticed.",
    "What one boat drops, the next one picks up, and the goods arrive in the order in which they were sent.",
    "At the falls it is loud, but listen: every drop lands exactly once.",
    "The lighthouse keeper writes down what passes, so that whoever slept may read it in the morning.",
    "When the ferryman is ill his daughter rows, and the passengers keep their seats.",
};
constexpr std::array<std::string_view, 4> endings = {
    "And where the river meets the sea, you will find %, as if nothing had happened.",
    "That is all that I know about %; the rest the tide will tell you.",
    "So much for %. Ask me again tomorrow, and bring a coat.",
    "By then it is evening, the nets are dry, and % can wait until the next boat.",
};

void add_words(std::vector<std::string>& to, std::string_view sentence, std::string_view about) {
    std::string word;
    for (const char c : sentence) {
        if (c == ' ') {
            to.push_back(std::exchange(word, {}));
        } else if (c == '%') {
            word += about;
        } else {
            word += c;
        }
    }
    to.push_back(std::move(word));
}

std::string_view choose(std::span<const std::string_view> from, std::mt19937_64& random) {
    return from[static_cast<std::size_t>(random() % from.size())];
}

}  // namespace

std::vector<std::string> story(std::string_view about, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::string> words;
    add_words(words, choose(beginnings, random), about);
    const std::size_t first = random() % middles.size();
    for (std::size_t i = 0; i < 3; ++i) add_words(words, middles[(first + i * 2 + i / 2) % middles.size()], about);
    add_words(words, choose(endings, random), about);
    return words;
}

}  // namespace guide
