#include "aggregator/channel/pattern_trie.hpp"

#include "aggregator/channel/give_back.hpp"

#include <cassert>

namespace foz::aggregator {
namespace {

// As envelope::matches() sees them: words may be empty, but an empty text has none. False from `to` ends it.
template <class F>
bool each_word(std::string_view text, F&& to) {
    if (text.empty()) return true;
    for (;;) {
        const std::size_t dot = text.find('.');
        if (!to(text.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

}  // namespace

void pattern_trie::clear() {
    give_back(nodes_);
    give_back(words_);
    give_back(here_);
    give_back(entered_);
    free_node_ = free_word_ = none;
    step_ = 0;
    nodes_.emplace_back();
}

std::uint32_t pattern_trie::find_word(std::string_view text) const {
    return by_word_.find(name_hash(text, seed_), [&](std::uint32_t id) { return words_[id].text.view() == text; });
}

std::uint32_t pattern_trie::child(std::uint32_t parent, std::uint32_t word) const {
    if (word == star_word) return nodes_[parent].star;
    if (word == hash_word) return nodes_[parent].hash;
    if (word == none) return none;
    return edges_.find(pair_hash(parent, word, seed_),
                       [&](std::uint32_t id) { return nodes_[id].parent == parent && nodes_[id].word == word; });
}

std::uint32_t pattern_trie::find(std::string_view pattern) const {
    std::uint32_t at = root;
    const bool whole = each_word(pattern, [&](std::string_view word) {
        at = child(at, word == "*" ? star_word : word == "#" ? hash_word : find_word(word));
        return at != none;
    });
    return whole ? nodes_[at].value : none;
}

void pattern_trie::insert(std::string_view pattern, std::uint32_t value) {
    assert(value != none && find(pattern) == none);
    std::uint32_t at = root;
    each_word(pattern, [&](std::string_view word) {
        const std::uint32_t known = child(at, word == "*" ? star_word : word == "#" ? hash_word : find_word(word));
        at = known != none ? known : make_child(at, word);
        return true;
    });
    nodes_[at].value = value;
    ++size_;
}

void pattern_trie::erase(std::string_view pattern) {
    assert(find(pattern) != none);
    std::uint32_t at = root;
    each_word(pattern, [&](std::string_view word) {
        at = child(at, word == "*" ? star_word : word == "#" ? hash_word : find_word(word));
        return true;
    });
    nodes_[at].value = none;
    while (at != root && nodes_[at].value == none && nodes_[at].children == 0) {
        const std::uint32_t parent = nodes_[at].parent;
        drop_leaf(at);
        at = parent;
    }
    if (--size_ == 0) clear();
}

std::uint32_t pattern_trie::make_child(std::uint32_t parent, std::string_view word) {
    std::uint32_t made = free_node_;
    if (made == none) {
        made = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back();
    } else {
        free_node_ = nodes_[made].parent;
    }
    const std::uint32_t number = word == "*" ? star_word : word == "#" ? hash_word : use_word(word);
    nodes_[made] = {.parent = parent, .word = number};
    ++nodes_[parent].children;
    if (number == star_word) {
        nodes_[parent].star = made;
    } else if (number == hash_word) {
        nodes_[parent].hash = made;
    } else {
        edges_.insert(pair_hash(parent, number, seed_), made);
    }
    return made;
}

void pattern_trie::drop_leaf(std::uint32_t at) {
    node& gone = nodes_[at];
    node& parent = nodes_[gone.parent];
    --parent.children;
    if (gone.word == star_word) {
        parent.star = none;
    } else if (gone.word == hash_word) {
        parent.hash = none;
    } else {
        edges_.erase(pair_hash(gone.parent, gone.word, seed_), at);
        release_word(gone.word);
    }
    gone = {.parent = free_node_};
    free_node_ = at;
}

std::uint32_t pattern_trie::use_word(std::string_view text) {
    std::uint32_t word = find_word(text);
    if (word == none) {
        word = free_word_;
        if (word == none) {
            word = static_cast<std::uint32_t>(words_.size());
            words_.emplace_back();
        } else {
            free_word_ = words_[word].uses;
        }
        words_[word] = {packed_name(text), 0};
        by_word_.insert(name_hash(text, seed_), word);
    }
    ++words_[word].uses;
    return word;
}

void pattern_trie::release_word(std::uint32_t word) {
    if (--words_[word].uses > 0) return;
    by_word_.erase(name_hash(words_[word].text.view(), seed_), word);
    words_[word] = {{}, free_word_};
    free_word_ = word;
}

void pattern_trie::match(std::string_view topic, std::vector<std::uint32_t>& out) const {
    if (size_ == 0) return;
    next_step();
    enter(root);
    const bool alive = each_word(topic, [&](std::string_view text) {
        next_step();
        const std::uint32_t word = find_word(text);
        for (const std::uint32_t at : here_) {
            if (nodes_[at].word == hash_word) enter(at);  // takes this word, too
            enter(nodes_[at].star);
            enter(child(at, word));
        }
        return !entered_.empty();
    });
    if (!alive) return;
    for (const std::uint32_t at : entered_)
        if (nodes_[at].value != none) out.push_back(nodes_[at].value);
}

// What was entered is left for the next word.
void pattern_trie::next_step() const {
    if (++step_ == 0) {
        for (const node& each : nodes_) each.seen = 0;
        step_ = 1;
    }
    here_.swap(entered_);
    entered_.clear();
}

// A node once in a step, and with it what stands behind it without a further word.
void pattern_trie::enter(std::uint32_t at) const {
    for (; at != none && nodes_[at].seen != step_; at = nodes_[at].hash) {
        nodes_[at].seen = step_;
        entered_.push_back(at);
    }
}

}  // namespace foz::aggregator
