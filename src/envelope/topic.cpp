#include "envelope/topic.hpp"

#include "base/utf8.hpp"

#include <utility>
#include <vector>

namespace foz::envelope {
namespace {

// A place between the words of a text. Copying it is how matches() comes back to a place.
class words {
public:
    explicit words(std::string_view text) noexcept : rest_(text), done_(text.empty()) {}

    bool done() const noexcept { return done_; }
    std::string_view word() const noexcept { return rest_.substr(0, rest_.find('.')); }
    void next() noexcept {
        const std::size_t dot = rest_.find('.');
        done_ = dot == std::string_view::npos;
        if (!done_) rest_.remove_prefix(dot + 1);
    }

private:
    std::string_view rest_;
    bool done_;
};

std::optional<std::string_view> check(std::string_view text, bool pattern) noexcept {
    if (text.empty()) return "must not be empty";
    if (text.size() > topic_bytes_max) return "must not be longer than 222 octets";
    for (words left(text); !left.done(); left.next()) {
        const std::string_view word = left.word();
        if (word.empty()) return "must not contain an empty word";
        if (pattern && (word == "*" || word == "#")) continue;
        for (const char letter : word) {
            const auto c = static_cast<unsigned char>(letter);
            if (c < 0x20 || c == 0x7f) return "must not contain control characters";
            if (c == '*' || c == '#')
                return pattern ? "a wildcard must be a word of its own" : "must not contain the wildcards * and #";
        }
    }
    if (!is_utf8(text)) return "must be valid UTF-8";
    return std::nullopt;
}

static_assert(topic_bytes_max == 222, "the text in check() says so");

}  // namespace

// A later # can do all that an earlier one could, so only the last one is ever tried with one word more.
bool matches(std::string_view pattern, std::string_view topic) noexcept {
    words p(pattern), t(topic);
    words after_hash(""), retry(topic);
    bool hash = false;
    while (!t.done()) {
        if (!p.done() && p.word() == "#") {
            p.next();
            after_hash = p;
            retry = t;
            hash = true;
        } else if (!p.done() && (p.word() == "*" || p.word() == t.word())) {
            p.next();
            t.next();
        } else if (hash) {
            retry.next();
            p = after_hash;
            t = retry;
        } else {
            return false;
        }
    }
    while (!p.done() && p.word() == "#") p.next();
    return p.done();
}

namespace {

// Its words; of wildcards that follow each other the stars come first, and one # stands for all: the same topics match.
std::vector<std::string_view> normal_words(std::string_view pattern) {
    std::vector<std::string_view> all;
    bool hash = false;  // one is still to come in this row of wildcards
    for (words left(pattern); !left.done(); left.next()) {
        if (left.word() == "#") {
            hash = true;
            continue;
        }
        if (left.word() != "*" && std::exchange(hash, false)) all.emplace_back("#");
        all.push_back(left.word());
    }
    if (hash) all.emplace_back("#");
    return all;
}

}  // namespace

// Row by row: reached[j] says that the words of `outer` so far cover the first j of `inner`.
bool covers(std::string_view outer, std::string_view inner) {
    const auto all = normal_words(inner);
    std::vector<bool> reached(all.size() + 1);
    reached[0] = true;
    for (const std::string_view word : normal_words(outer)) {
        std::vector<bool> next(all.size() + 1);
        for (std::size_t j = 0; j <= all.size(); ++j) {
            if (word == "#") {
                next[j] = reached[j] || (j > 0 && next[j - 1]);
            } else if (j > 0 && reached[j - 1]) {
                next[j] = word == all[j - 1] || (word == "*" && all[j - 1] != "#");
            }
        }
        reached = std::move(next);
    }
    return reached[all.size()];
}

std::optional<std::string_view> check_topic(std::string_view topic) noexcept {
    return check(topic, false);
}

std::optional<std::string_view> check_pattern(std::string_view pattern) noexcept {
    return check(pattern, true);
}

}  // namespace foz::envelope
