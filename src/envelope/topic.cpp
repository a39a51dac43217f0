#include "envelope/topic.hpp"

#include "base/utf8.hpp"

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

std::optional<std::string_view> check_topic(std::string_view topic) noexcept {
    return check(topic, false);
}

std::optional<std::string_view> check_pattern(std::string_view pattern) noexcept {
    return check(pattern, true);
}

}  // namespace foz::envelope
