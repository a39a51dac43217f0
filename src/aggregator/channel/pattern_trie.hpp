// Topic patterns with wildcards, found by a topic. No I/O.
#pragma once

#include "aggregator/channel/id_table.hpp"
#include "aggregator/channel/packed_name.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// A trie by words (AMQP 0-9-1 §3.1.3.3: `*` is one word, `#` zero or more), walked as an automaton: all nodes that the
// first n words lead to, then one word more. What a topic costs depends on the nodes that it reaches, not on how many
// patterns there are. It finds what envelope::matches() accepts.
class pattern_trie {
public:
    static constexpr std::uint32_t none = id_table::none;

    explicit pattern_trie(std::uint64_t hash_seed) : seed_(hash_seed) { clear(); }

    // The pattern's value, or none.
    std::uint32_t find(std::string_view pattern) const;
    // The pattern has no value yet.
    void insert(std::string_view pattern, std::uint32_t value);
    void erase(std::string_view pattern);
    // Appends the value of each pattern that matches, once; the order depends on what was inserted and erased alone.
    void match(std::string_view topic, std::vector<std::uint32_t>& out) const;

    std::size_t size() const noexcept { return size_; }

private:
    static constexpr std::uint32_t root = 0;
    // In place of a word's number.
    static constexpr std::uint32_t star_word = UINT32_MAX - 1;
    static constexpr std::uint32_t hash_word = UINT32_MAX - 2;

    struct node {
        std::uint32_t parent = none;  // of a free node: the next free one
        std::uint32_t word = none;
        std::uint32_t star = none;  // children
        std::uint32_t hash = none;
        std::uint32_t value = none;
        std::uint32_t children = 0;
        mutable std::uint32_t seen = 0;  // the step that has entered it
    };
    struct word_row {
        packed_name text;
        std::uint32_t uses = 0;  // of a free row: the next free one
    };

    void clear();
    std::uint32_t find_word(std::string_view text) const;
    std::uint32_t child(std::uint32_t parent, std::uint32_t word) const;
    std::uint32_t make_child(std::uint32_t parent, std::string_view word);
    void drop_leaf(std::uint32_t at);
    std::uint32_t use_word(std::string_view text);
    void release_word(std::uint32_t word);
    void next_step() const;
    void enter(std::uint32_t at) const;

    const std::uint64_t seed_;
    std::vector<node> nodes_;
    std::uint32_t free_node_ = none;
    std::vector<word_row> words_;
    std::uint32_t free_word_ = none;
    id_table by_word_;
    id_table edges_;  // to children by a word
    std::size_t size_ = 0;
    // Of match(); kept for their memory.
    mutable std::uint32_t step_ = 0;
    mutable std::vector<std::uint32_t> here_;
    mutable std::vector<std::uint32_t> entered_;
};

}  // namespace foz::aggregator
