// What a client wants to hear on one channel. No I/O.
#pragma once

#include <cstddef>
#include <set>
#include <string>

namespace foz::aggregator {

// What a consume asks for, and what a member has in sum.
struct interest {
    bool broadcast = false;
    bool direct = false;
    // Multicast to the client's own id. Not a group: whoever joins a group of that name hears it as a group, and only
    // the client itself hears its own name.
    bool own_name = false;
    std::set<std::string> groups;
    // Topic patterns; all_topics makes them moot. Direct messages ignore topics.
    bool all_topics = false;
    std::set<std::string> topics;

    // What a consume without a distribution and without topics means.
    static interest everything() { return {.broadcast = true, .direct = true, .own_name = true, .all_topics = true}; }

    std::size_t size() const noexcept { return groups.size() + topics.size(); }
    bool names_nothing() const noexcept { return size() == 0 && !broadcast && !direct && !own_name; }
    // Takes the named kinds, groups and topics away; with none, everything. False: nothing is left. A client that loses
    // its last topic has nothing left: no topic at all would mean every topic.
    bool take_away(const interest& what);
    friend bool operator==(const interest&, const interest&) = default;
};

}  // namespace foz::aggregator
