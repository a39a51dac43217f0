// Who is addressed on a page of older entries. No I/O.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "base/strong.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace foz::aggregator {

// Built once for a page, and read by each of the many sessions that it is for: without it each would test each entry.
// It says which entries a session has to test, and never leaves out one that would reach it. Immutable; shared between
// shards; refers to the entries that it was built of.
class page_index {
public:
    using numbers = std::vector<std::uint32_t>;

    // `said_before_s`: when the last entry before the page was said, as far as is known; 0: it isn't.
    explicit page_index(std::span<const entry_ref> entries, std::uint64_t said_before_s = 0);

    // When an entry was said. One that doesn't tell was said about when the one before was; 0: not known.
    std::uint64_t said_s(std::size_t number) const { return said_s_[number]; }

    struct listener {
        std::string_view client;
        std::string_view session;
        bool broadcast = false;
        bool direct = false;
        bool own_name = false;  // hears multicasts to its own name
    };
    // Appends the numbers of entries at or behind `begin` that are for one of these groups (a set of strings), for the
    // client (answers always, direct messages if it hears them) or, if it hears them, for everybody: ascending, each
    // once. Topics are not looked at.
    template <class Groups>
    void pick(const listener& who, const Groups& groups, std::size_t begin, numbers& out) const {
        const std::size_t first = out.size();
        append(too_large_, begin, out);  // who it was for is not known: everybody is told
        if (who.broadcast) append(broadcasts_, begin, out);
        if (who.direct) {
            append(by_client_, who.client, begin, out);
            append(by_session_, who.session, begin, out);
        }
        append(answers_, who.client, begin, out);
        if (who.own_name) append(by_group_, who.client, begin, out);
        if (groups.size() <= by_group_.size()) {
            for (const auto& name : groups) append(by_group_, name, begin, out);
        } else {
            for (const auto& [name, entries] : by_group_)
                if (groups.contains(std::string(name))) append(entries, begin, out);
        }
        const auto from = out.begin() + static_cast<std::ptrdiff_t>(first);
        std::sort(from, out.end());
        out.erase(std::unique(from, out.end()), out.end());
    }

private:
    using index = std::unordered_map<std::string_view, numbers>;

    static void append(const numbers& from, std::size_t begin, numbers& out) {
        out.insert(out.end(), std::lower_bound(from.begin(), from.end(), begin), from.end());
    }
    static void append(const index& from, std::string_view name, std::size_t begin, numbers& out) {
        if (const auto at = from.find(name); at != from.end()) append(at->second, begin, out);
    }

    numbers too_large_;
    numbers broadcasts_;
    index by_group_;
    index by_client_;   // direct messages
    index by_session_;  // the same
    index answers_;     // by client
    std::vector<std::uint64_t> said_s_;
};

}  // namespace foz::aggregator
