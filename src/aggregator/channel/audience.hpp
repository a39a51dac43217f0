// Who hears what of one channel on one shard. No I/O.
#pragma once

#include "aggregator/channel/directory.hpp"
#include "aggregator/channel/entry.hpp"
#include "aggregator/channel/interest.hpp"
#include "aggregator/channel/member.hpp"
#include "aggregator/channel/pattern_trie.hpp"
#include "aggregator/channel/short_list.hpp"
#include "contract/names.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::aggregator {

// Members and their interests. What reaches whom is defined by route_for(); each() is the same by index. An entry
// reaches a member at most once, by the first of its routes that does: direct, multicast, broadcast.
//
// Changing an interest costs time in its own size, whoever else shares it. An entry costs time in its routes, in the
// members that they name and in the words of its topic, not in the number of topics, patterns, groups or other members.
// A member that hears everything costs 52 octets, apart from the growth of the tables.
//
// Lives on one shard, as does the directory, which outlives it. The order in which members are reached depends on the
// calls alone, never on addresses or on the hash seed.
class audience {
public:
    explicit audience(const directory& names) : names_(names), patterns_(names.hash_seed()) {}
    audience(const audience&) = delete;
    audience& operator=(const audience&) = delete;

    // The directory knows the member. set() replaces what it has, add() joins: a union. Neither changes a pause.
    void set(member who, const interest& what);
    void add(member who, const interest& what);
    // As interest::take_away(). False: the member has nothing left (or had nothing) and is no member any more.
    bool remove(member who, const interest& what);
    // At its end, or when it leaves the whole channel. Nothing happens when it is no member.
    void drop(member who);
    // each() passes over a member that is paused: it resumes and hears nothing live. It has to be a member; who leaves
    // and comes again is not paused.
    void pause(member who, bool on);

    std::size_t size() const noexcept { return members_; }
    bool contains(member who) const noexcept { return find_seat(who) != nullptr; }
    bool paused(member who) const noexcept;
    // What the member has in sum; builds sets, so it is meant for consume and leave. The others build nothing.
    std::optional<interest> find(member who) const;
    bool in_group(member who, std::string_view group) const;
    std::size_t names_of(member who) const noexcept;  // how many groups and topics it has
    // How many of these groups and topics it has already.
    std::size_t shared_with(member who, const interest& what) const;

    // THE definition: the route by which the entry reaches the member, paused or not; null when it does not.
    const entry_route* route_for(member who, const entry& what) const;
    bool hears(member who, const entry& what) const { return route_for(who, what) != nullptr; }
    // The same among the routes that `may` lets through: may(const entry_route&).
    template <class F>
    const entry_route* route_for(member who, const entry& what, F&& may) const {
        const seat* const here = find_seat(who);
        if (!here) return nullptr;
        for (const entry_route& route : what.routes)
            if (may(route) && is_reached(*here, route, what.topic)) return &route;
        return nullptr;
    }

    // Calls to(member, const entry_route&) once for every member that is reached and not paused: route by route, and
    // nothing twice. `to` must not change the audience or the directory.
    template <class F>
    void each(const entry& what, F&& to) const;
    // Every member, paused or not.
    template <class F>
    void each_member(F&& to) const {
        for (const seat& here : seats_)
            if (here.taken) to(here.who);
    }

private:
    static constexpr std::uint32_t none = id_table::none;

    // The kind stands in the upper bits of a list's number: a member's links lie sorted, one kind after the other.
    enum class kind : std::uint32_t { group, topic, pattern };
    static constexpr unsigned kind_shift = 30;
    static constexpr std::uint32_t index_mask = (1u << kind_shift) - 1;

    // Those who have one group or topic. Only topics with wildcards stand in the trie.
    struct list {
        packed_name name;
        short_list<std::uint32_t> seats;  // in no order
        mutable std::uint32_t round = 0;  // the entry whose topic has matched it
        std::uint32_t next_free = none;
    };
    // A member is in this list, at this place.
    struct link {
        std::uint32_t to = 0;
        std::uint32_t place = 0;
    };
    using links = short_list<link>;

    struct seat {
        member who;
        mutable std::uint32_t round = 0;  // the entry that has reached it
        std::uint32_t place = none;       // in everybody_; of a free seat: the next free one
        bool taken : 1 = false;
        bool paused : 1 = false;
        bool broadcast : 1 = false;
        bool direct : 1 = false;
        bool own_name : 1 = false;
        bool all_topics : 1 = false;
        links has;  // sorted by list
    };

    // While it lives, nothing may change.
    class walk {
    public:
        explicit walk(const audience& all) noexcept : all_(all) { ++all_.walks_; }
        ~walk() { --all_.walks_; }
        walk(const walk&) = delete;
        walk& operator=(const walk&) = delete;

    private:
        const audience& all_;
    };

    std::uint32_t seat_at(member who) const noexcept;
    const seat* find_seat(member who) const noexcept;
    std::uint32_t take_seat(member who);
    void free_seat(std::uint32_t at);
    void clear();

    static kind kind_of(std::uint32_t to) noexcept { return static_cast<kind>(to >> kind_shift); }
    static std::uint32_t first_of(kind what) noexcept { return static_cast<std::uint32_t>(what) << kind_shift; }
    list& list_of(std::uint32_t to) { return lists_[to & index_mask]; }
    const list& list_of(std::uint32_t to) const { return lists_[to & index_mask]; }
    std::uint32_t find_list(kind what, std::string_view name) const;
    std::uint32_t make_list(kind what, std::string_view name);
    void drop_list(std::uint32_t to);
    static kind topic_kind(std::string_view topic) noexcept;
    static const link* find_link(const seat& who, std::uint32_t to) noexcept;

    void join(std::uint32_t at, kind what, std::string_view name);
    void quit(std::uint32_t at, kind what, std::string_view name);
    void quit_place(const link& left);
    void quit_topics(std::uint32_t at);
    static bool has_any(const seat& who, kind first, kind last) noexcept;
    // Into or out of everybody_, as its interest and its pause want it.
    void settle(std::uint32_t at);

    bool hears_topic(const seat& who, std::string_view topic) const;
    bool is_reached(const seat& who, const entry_route& route, std::string_view topic) const;

    std::uint32_t begin_round() const;
    // The lists of topics and patterns that match; each of them is marked with the round.
    const std::vector<std::uint32_t>& matching(std::string_view topic) const;
    bool hears_matched(const seat& who, std::string_view topic) const;
    template <class F>
    void each_direct(const entry_route& route, F&& reach) const;
    template <class F>
    void each_of_group(std::string_view group, std::string_view topic, F&& reach) const;

    const directory& names_;
    std::vector<std::uint32_t> by_slot_;  // the seat of each session, or none
    std::vector<seat> seats_;
    std::uint32_t free_seat_ = none;
    std::size_t members_ = 0;
    // Those whom every broadcast reaches, side by side: the loop over them touches nothing else.
    std::vector<member> everybody_;
    std::vector<list> lists_;
    std::uint32_t free_list_ = none;
    id_table groups_;
    id_table topics_;
    pattern_trie patterns_;

    mutable std::uint32_t round_ = 0;  // the number of the entry that is walked
    mutable std::uint32_t matched_round_ = 0;
    mutable std::vector<std::uint32_t> matched_;
    mutable std::uint32_t walks_ = 0;
};

template <class F>
void audience::each_direct(const entry_route& route, F&& reach) const {
    const auto reach_member = [&](member who) {
        const std::uint32_t at = seat_at(who);
        if (at != none && seats_[at].direct) reach(at);
    };
    for (const std::string_view receiver : route.receivers) {
        if (receiver.starts_with(contract::session_prefix)) {
            const auto who = names_.find_session(receiver.substr(contract::session_prefix.size()));
            if (who) reach_member(*who);
        } else {
            names_.each_of(receiver, reach_member);
        }
    }
}

template <class F>
void audience::each_of_group(std::string_view group, std::string_view topic, F&& reach) const {
    const auto reach_seat = [&](std::uint32_t at) {
        const seat& here = seats_[at];
        if (here.all_topics || hears_matched(here, topic)) reach(at);
    };
    if (const std::uint32_t found = find_list(kind::group, group); found != none)
        for (const std::uint32_t at : list_of(found).seats) reach_seat(at);
    names_.each_of(group, [&](member who) {
        const std::uint32_t at = seat_at(who);
        if (at != none && seats_[at].own_name) reach_seat(at);
    });
}

template <class F>
void audience::each(const entry& what, F&& to) const {
    if (members_ == 0) return;
    const walk guard(*this);
    const std::uint32_t round = begin_round();
    bool any = false;
    for (const entry_route& route : what.routes) {
        const auto reach = [&](std::uint32_t at) {
            const seat& here = seats_[at];
            if (here.paused || here.round == round) return;
            here.round = round;
            any = true;
            to(here.who, route);
        };
        switch (route.how) {
            case envelope::via::direct:
                each_direct(route, reach);
                break;
            case envelope::via::multicast:
                for (const auto& group : route.receivers) each_of_group(group, what.topic, reach);
                break;
            case envelope::via::broadcast:
                if (any) {
                    for (const member who : everybody_) reach(by_slot_[who.slot]);
                } else {
                    for (const member who : everybody_) to(who, route);
                }
                for (const std::uint32_t matched : matching(what.topic))
                    for (const std::uint32_t at : list_of(matched).seats)
                        if (seats_[at].broadcast) reach(at);
                return;  // whom a broadcast does not reach, no further one would
        }
    }
}

}  // namespace foz::aggregator
