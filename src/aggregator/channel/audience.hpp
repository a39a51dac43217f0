// Who hears what on one shard. No I/O.
#pragma once

#include "base/strong.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace foz::aggregator {

// One socket, as routing sees it.
struct subscriber {
    subscriber(client_id c, session_id s) : client(std::move(c)), session(std::move(s)) {}

    const client_id client;
    const session_id session;
    std::uint64_t last_round = 0;  // the last message that was delivered: each reaches a socket at most once

protected:
    ~subscriber() = default;
};

// What a consume asks for on one channel, and what a subscriber has in sum.
struct interest {
    bool broadcast = false;
    bool direct = false;
    std::set<std::string> groups;
    // Topic patterns; all_topics makes them moot. Direct messages ignore topics.
    bool all_topics = false;
    std::set<std::string> topics;

    std::size_t size() const noexcept { return groups.size() + topics.size(); }
    // How many of its groups and topics the other has, too.
    std::size_t shared_with(const interest& other) const;
    bool names_nothing() const noexcept { return size() == 0 && !broadcast && !direct; }
    // Takes the named kinds, groups and topics away; with none, everything. False: nothing is left. Who loses the last
    // topic has nothing left: no topic at all would mean every topic.
    bool take_away(const interest& what);
    friend bool operator==(const interest&, const interest&) = default;
};

// The kinds in which a message may reach someone; the order is the order of preference.
enum class via { direct, multicast, broadcast };

// The index of one channel. Adding and removing cost time in the number of a socket's own groups and topics and of the
// sockets that share them; delivering costs time in the number of receivers and of distinct patterns.
class audience {
public:
    using receive = std::function<void(subscriber&)>;

    // Joins the interest to what the subscriber has: a union.
    void add(subscriber& who, const interest& what);
    // As interest::take_away(); with nothing left the subscriber leaves the channel.
    void remove(subscriber& who, const interest& what);
    void remove(subscriber& who);

    // What the subscriber has in sum, or null.
    const interest* find(const subscriber& who) const;

    // Each calls `to` for every subscriber that it reaches and that was not reached in this round before.
    void direct(std::string_view client, std::uint64_t round, const receive& to) const;
    void direct_session(std::string_view session, std::uint64_t round, const receive& to) const;
    void multicast(std::string_view group, std::string_view topic, std::uint64_t round, const receive& to) const;
    void broadcast(std::string_view topic, std::uint64_t round, const receive& to) const;

    std::size_t size() const noexcept { return interests_.size(); }

private:
    using list = std::vector<subscriber*>;
    using index = std::unordered_map<std::string, list, string_hash, std::equal_to<>>;

    void link(subscriber& who, const interest& what);
    void unlink(subscriber& who, const interest& what);
    bool hears_topic(const subscriber& who, std::string_view topic) const;

    std::unordered_map<const subscriber*, interest> interests_;
    index by_client_;  // those who hear direct messages
    index by_session_;
    index by_group_;
    list broadcast_all_;  // those who hear every topic
    index broadcast_by_pattern_;
};

}  // namespace foz::aggregator
