#include "aggregator/channel/audience.hpp"

#include "envelope/topic.hpp"

#include <algorithm>

namespace foz::aggregator {
namespace {

using list = std::vector<subscriber*>;

void add_to(list& all, subscriber& who) {
    all.push_back(&who);
}

void remove_from(list& all, subscriber& who) {
    // From the back: those who came last tend to leave first. Order does not matter.
    const auto at = std::find(all.rbegin(), all.rend(), &who);
    if (at == all.rend()) return;
    *at = all.back();
    all.pop_back();
}

template <class Index>
void remove_from(Index& index, std::string_view key, subscriber& who) {
    const auto at = index.find(key);
    if (at == index.end()) return;
    remove_from(at->second, who);
    if (at->second.empty()) index.erase(at);
}

bool reach(subscriber& who, std::uint64_t round) {
    if (who.last_round == round) return false;
    who.last_round = round;
    return true;
}

}  // namespace

std::size_t interest::shared_with(const interest& other) const {
    const auto in = [](const std::set<std::string>& all) { return [&](const auto& one) { return all.contains(one); }; };
    return static_cast<std::size_t>(std::ranges::count_if(groups, in(other.groups)) +
                                    std::ranges::count_if(topics, in(other.topics)));
}

bool interest::take_away(const interest& what) {
    if (what.names_nothing()) return false;
    broadcast &= !what.broadcast;
    direct &= !what.direct;
    for (const auto& group : what.groups) groups.erase(group);
    for (const auto& topic : what.topics) topics.erase(topic);
    return (all_topics || !topics.empty()) && (broadcast || direct || !groups.empty());
}

void audience::add(subscriber& who, const interest& what) {
    const auto [at, fresh] = interests_.try_emplace(&who);
    interest& sum = at->second;
    if (!fresh) unlink(who, sum);
    sum.broadcast |= what.broadcast;
    sum.direct |= what.direct;
    sum.groups.insert(what.groups.begin(), what.groups.end());
    sum.all_topics |= what.all_topics;
    sum.topics.insert(what.topics.begin(), what.topics.end());
    if (sum.all_topics) sum.topics.clear();
    link(who, sum);
}

void audience::remove(subscriber& who, const interest& what) {
    const auto at = interests_.find(&who);
    if (at == interests_.end()) return;
    interest& sum = at->second;
    unlink(who, sum);
    if (sum.take_away(what)) {
        link(who, sum);
    } else {
        interests_.erase(at);
    }
}

void audience::remove(subscriber& who) {
    const auto at = interests_.find(&who);
    if (at == interests_.end()) return;
    unlink(who, at->second);
    interests_.erase(at);
}

const interest* audience::find(const subscriber& who) const {
    const auto at = interests_.find(&who);
    return at == interests_.end() ? nullptr : &at->second;
}

void audience::link(subscriber& who, const interest& what) {
    if (what.direct) {
        add_to(by_client_[who.client.str()], who);
        add_to(by_session_[who.session.str()], who);
    }
    for (const auto& group : what.groups) add_to(by_group_[group], who);
    if (!what.broadcast) return;
    if (what.all_topics) add_to(broadcast_all_, who);
    for (const auto& pattern : what.topics) add_to(broadcast_by_pattern_[pattern], who);
}

void audience::unlink(subscriber& who, const interest& what) {
    if (what.direct) {
        remove_from(by_client_, who.client.view(), who);
        remove_from(by_session_, who.session.view(), who);
    }
    for (const auto& group : what.groups) remove_from(by_group_, group, who);
    if (!what.broadcast) return;
    if (what.all_topics) remove_from(broadcast_all_, who);
    for (const auto& pattern : what.topics) remove_from(broadcast_by_pattern_, pattern, who);
}

bool audience::hears_topic(const subscriber& who, std::string_view topic) const {
    const interest* const sum = find(who);
    if (!sum) return false;
    if (sum->all_topics) return true;
    return std::any_of(sum->topics.begin(), sum->topics.end(),
                       [&](const std::string& pattern) { return envelope::matches(pattern, topic); });
}

void audience::direct(std::string_view client, std::uint64_t round, const receive& to) const {
    const auto at = by_client_.find(client);
    if (at == by_client_.end()) return;
    for (subscriber* who : at->second)
        if (reach(*who, round)) to(*who);
}

void audience::direct_session(std::string_view session, std::uint64_t round, const receive& to) const {
    const auto at = by_session_.find(session);
    if (at == by_session_.end()) return;
    for (subscriber* who : at->second)
        if (reach(*who, round)) to(*who);
}

void audience::multicast(std::string_view group, std::string_view topic, std::uint64_t round, const receive& to) const {
    const auto at = by_group_.find(group);
    if (at == by_group_.end()) return;
    for (subscriber* who : at->second)
        if (hears_topic(*who, topic) && reach(*who, round)) to(*who);
}

void audience::broadcast(std::string_view topic, std::uint64_t round, const receive& to) const {
    for (subscriber* who : broadcast_all_)
        if (reach(*who, round)) to(*who);
    for (const auto& [pattern, members] : broadcast_by_pattern_) {
        if (!envelope::matches(pattern, topic)) continue;
        for (subscriber* who : members)
            if (reach(*who, round)) to(*who);
    }
}

}  // namespace foz::aggregator
