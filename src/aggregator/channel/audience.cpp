#include "aggregator/channel/audience.hpp"

#include "aggregator/channel/give_back.hpp"
#include "envelope/topic.hpp"

#include <algorithm>

namespace foz::aggregator {
namespace {

constexpr auto before = [](const auto& link, std::uint32_t to) { return link.to < to; };

}  // namespace

void audience::set(member who, const interest& what) {
    const bool was_paused = paused(who);
    drop(who);
    add(who, what);
    if (was_paused) pause(who, true);
}

void audience::add(member who, const interest& what) {
    assert(walks_ == 0 && names_.contains(who));
    std::uint32_t at = seat_at(who);
    if (at == none) at = take_seat(who);
    seat& here = seats_[at];
    here.broadcast |= what.broadcast;
    here.direct |= what.direct;
    here.own_name |= what.own_name;
    for (const auto& group : what.groups) join(at, kind::group, group);
    if (what.all_topics && !here.all_topics) {
        here.all_topics = true;
        quit_topics(at);
    }
    if (!here.all_topics)
        for (const auto& topic : what.topics) join(at, topic_kind(topic), topic);
    settle(at);
}

bool audience::remove(member who, const interest& what) {
    assert(walks_ == 0);
    const std::uint32_t at = seat_at(who);
    if (at == none) return false;
    seat& here = seats_[at];
    if (!what.names_nothing()) {
        here.broadcast &= !what.broadcast;
        here.direct &= !what.direct;
        here.own_name &= !what.own_name;
        for (const auto& group : what.groups) quit(at, kind::group, group);
        for (const auto& topic : what.topics) quit(at, topic_kind(topic), topic);
        const bool hears_something =
            here.broadcast || here.direct || here.own_name || has_any(here, kind::group, kind::group);
        if (hears_something && (here.all_topics || has_any(here, kind::topic, kind::pattern))) {
            settle(at);
            return true;
        }
    }
    free_seat(at);
    return false;
}

void audience::drop(member who) {
    assert(walks_ == 0);
    if (const std::uint32_t at = seat_at(who); at != none) free_seat(at);
}

void audience::pause(member who, bool on) {
    assert(walks_ == 0);
    const std::uint32_t at = seat_at(who);
    assert(at != none);
    if (at == none) return;
    seats_[at].paused = on;
    settle(at);
}

bool audience::paused(member who) const noexcept {
    const seat* const here = find_seat(who);
    return here && here->paused;
}

std::optional<interest> audience::find(member who) const {
    const seat* const here = find_seat(who);
    if (!here) return std::nullopt;
    interest sum{.broadcast = here->broadcast, .direct = here->direct, .own_name = here->own_name};
    sum.all_topics = here->all_topics;
    for (const link& each : here->has)
        (kind_of(each.to) == kind::group ? sum.groups : sum.topics).emplace(list_of(each.to).name.view());
    return sum;
}

bool audience::in_group(member who, std::string_view group) const {
    const seat* const here = find_seat(who);
    return here && find_link(*here, find_list(kind::group, group));
}

std::size_t audience::names_of(member who) const noexcept {
    const seat* const here = find_seat(who);
    return here ? here->has.size() : 0;
}

std::size_t audience::shared_with(member who, const interest& what) const {
    const seat* const here = find_seat(who);
    if (!here) return 0;
    std::size_t sum = 0;
    for (const auto& group : what.groups) sum += find_link(*here, find_list(kind::group, group)) != nullptr;
    for (const auto& topic : what.topics) sum += find_link(*here, find_list(topic_kind(topic), topic)) != nullptr;
    return sum;
}

const entry_route* audience::route_for(member who, const entry& what) const {
    return route_for(who, what, [](const entry_route&) { return true; });
}

bool audience::is_reached(const seat& who, const entry_route& route, std::string_view topic) const {
    const auto named = [&](std::string_view receiver) { return names_.is_addressed(who.who, receiver); };
    const auto grouped = [&](std::string_view group) {
        if (who.own_name && group == names_.client_of(who.who)) return true;
        return find_link(who, find_list(kind::group, group)) != nullptr;
    };
    switch (route.how) {
        case envelope::via::direct:
            return who.direct && std::ranges::any_of(route.receivers, named);
        case envelope::via::multicast:
            return std::ranges::any_of(route.receivers, grouped) && hears_topic(who, topic);
        case envelope::via::broadcast:
            return who.broadcast && hears_topic(who, topic);
    }
    return false;
}

bool audience::hears_topic(const seat& who, std::string_view topic) const {
    if (who.all_topics) return true;
    if (find_link(who, find_list(kind::topic, topic))) return true;
    return std::ranges::any_of(who.has, [&](const link& each) {
        return kind_of(each.to) == kind::pattern && envelope::matches(list_of(each.to).name.view(), topic);
    });
}

// The same by index.
bool audience::hears_matched(const seat& who, std::string_view topic) const {
    if (who.has.empty() || matching(topic).empty()) return false;
    return std::ranges::any_of(
        who.has, [&](const link& each) { return kind_of(each.to) != kind::group && list_of(each.to).round == round_; });
}

const std::vector<std::uint32_t>& audience::matching(std::string_view topic) const {
    if (matched_round_ == round_) return matched_;
    matched_round_ = round_;
    matched_.clear();
    if (const std::uint32_t exact = find_list(kind::topic, topic); exact != none) matched_.push_back(exact);
    patterns_.match(topic, matched_);
    for (const std::uint32_t each : matched_) list_of(each).round = round_;
    return matched_;
}

std::uint32_t audience::begin_round() const {
    if (++round_ == 0) {
        for (const seat& each : seats_) each.round = 0;
        for (const list& each : lists_) each.round = 0;
        matched_round_ = 0;
        round_ = 1;
    }
    return round_;
}

std::uint32_t audience::seat_at(member who) const noexcept {
    const std::uint32_t at = who.slot < by_slot_.size() ? by_slot_[who.slot] : none;
    return at != none && seats_[at].who == who ? at : none;
}

const audience::seat* audience::find_seat(member who) const noexcept {
    const std::uint32_t at = seat_at(who);
    return at == none ? nullptr : &seats_[at];
}

std::uint32_t audience::take_seat(member who) {
    if (who.slot >= by_slot_.size()) by_slot_.resize(who.slot + 1, none);
    assert(by_slot_[who.slot] == none);  // whoever had the slot before has been dropped
    std::uint32_t at = free_seat_;
    if (at == none) {
        at = static_cast<std::uint32_t>(seats_.size());
        seats_.emplace_back();
    } else {
        free_seat_ = seats_[at].place;
    }
    seat& made = seats_[at];
    made.who = who;
    made.round = 0;
    made.place = none;
    made.taken = true;
    by_slot_[who.slot] = at;
    ++members_;
    return at;
}

void audience::free_seat(std::uint32_t at) {
    seat& gone = seats_[at];
    gone.broadcast = false;
    settle(at);
    const links left = std::move(gone.has);
    for (const link& each : left) quit_place(each);
    by_slot_[gone.who.slot] = none;
    gone = {};
    gone.place = free_seat_;
    free_seat_ = at;
    if (--members_ == 0) clear();
}

// Nobody is left: so is no memory of a crowd.
void audience::clear() {
    assert(everybody_.empty() && groups_.size() == 0 && topics_.size() == 0 && patterns_.size() == 0);
    give_back(by_slot_);
    give_back(seats_);
    give_back(everybody_);
    give_back(lists_);
    give_back(matched_);
    free_seat_ = free_list_ = none;
}

audience::kind audience::topic_kind(std::string_view topic) noexcept {
    for (std::size_t at = topic.find_first_of("*#"); at != std::string_view::npos;
         at = topic.find_first_of("*#", at + 1))
        if ((at == 0 || topic[at - 1] == '.') && (at + 1 == topic.size() || topic[at + 1] == '.')) return kind::pattern;
    return kind::topic;
}

std::uint32_t audience::find_list(kind what, std::string_view name) const {
    if (what == kind::pattern) return patterns_.find(name);
    return (what == kind::group ? groups_ : topics_).find(name_hash(name, names_.hash_seed()), [&](std::uint32_t to) {
        return list_of(to).name.view() == name;
    });
}

std::uint32_t audience::make_list(kind what, std::string_view name) {
    std::uint32_t index = free_list_;
    if (index == none) {
        index = static_cast<std::uint32_t>(lists_.size());
        assert(index <= index_mask);
        lists_.emplace_back();
    } else {
        free_list_ = lists_[index].next_free;
    }
    lists_[index].name = packed_name(name);
    const std::uint32_t to = first_of(what) | index;
    if (what == kind::pattern) {
        patterns_.insert(name, to);
    } else {
        (what == kind::group ? groups_ : topics_).insert(name_hash(name, names_.hash_seed()), to);
    }
    return to;
}

void audience::drop_list(std::uint32_t to) {
    list& gone = list_of(to);
    const std::string_view name = gone.name.view();
    if (kind_of(to) == kind::pattern) {
        patterns_.erase(name);
    } else {
        (kind_of(to) == kind::group ? groups_ : topics_).erase(name_hash(name, names_.hash_seed()), to);
    }
    gone = {};
    gone.next_free = free_list_;
    free_list_ = to & index_mask;
}

const audience::link* audience::find_link(const seat& who, std::uint32_t to) noexcept {
    const link* const at = std::lower_bound(who.has.begin(), who.has.end(), to, before);
    return at != who.has.end() && at->to == to ? at : nullptr;
}

bool audience::has_any(const seat& who, kind first, kind last) noexcept {
    const link* const at = std::lower_bound(who.has.begin(), who.has.end(), first_of(first), before);
    return at != who.has.end() && kind_of(at->to) <= last;
}

void audience::join(std::uint32_t at, kind what, std::string_view name) {
    links& has = seats_[at].has;
    std::uint32_t to = find_list(what, name);
    if (to == none) to = make_list(what, name);
    const link* const next = std::lower_bound(has.begin(), has.end(), to, before);
    if (next != has.end() && next->to == to) return;
    auto& seats = list_of(to).seats;
    has.insert(static_cast<std::size_t>(next - has.begin()), {to, static_cast<std::uint32_t>(seats.size())});
    seats.push_back(at);
}

void audience::quit(std::uint32_t at, kind what, std::string_view name) {
    seat& here = seats_[at];
    const link* const found = find_link(here, find_list(what, name));
    if (!found) return;
    const link left = *found;
    here.has.erase(static_cast<std::size_t>(found - here.has.begin()));
    quit_place(left);
}

void audience::quit_topics(std::uint32_t at) {
    links& has = seats_[at].has;
    const link* const first = std::lower_bound(has.begin(), has.end(), first_of(kind::topic), before);
    const std::vector<link> left(first, std::as_const(has).end());
    has.truncate(has.size() - left.size());
    for (const link& each : left) quit_place(each);
}

// The last one of the list takes the place. The link itself has gone from its seat already.
void audience::quit_place(const link& left) {
    auto& seats = list_of(left.to).seats;
    const std::uint32_t last = seats.back();
    seats.truncate(seats.size() - 1);
    if (seats.empty()) return drop_list(left.to);
    if (left.place < seats.size()) {
        seats[left.place] = last;
        links& moved = seats_[last].has;
        const auto at = std::lower_bound(moved.begin(), moved.end(), left.to, before);
        assert(at != moved.end() && at->to == left.to && at->place == seats.size());
        at->place = left.place;
    }
}

void audience::settle(std::uint32_t at) {
    seat& here = seats_[at];
    const bool wanted = here.broadcast && here.all_topics && !here.paused;
    if (wanted == (here.place != none)) return;
    if (wanted) {
        here.place = static_cast<std::uint32_t>(everybody_.size());
        everybody_.push_back(here.who);
        return;
    }
    const member last = everybody_.back();
    everybody_.pop_back();
    if (here.place < everybody_.size()) {
        everybody_[here.place] = last;
        seats_[by_slot_[last.slot]].place = here.place;
    }
    here.place = none;
    give_back_excess(everybody_);
}

}  // namespace foz::aggregator
