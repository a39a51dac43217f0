#include "amqp/conn/quarantine.hpp"

#include <algorithm>
#include <utility>

namespace foz::amqp {

void quarantine::accuse(std::uint64_t channel, std::string what) {
    accused_.push_back({channel, std::move(what)});
}

std::vector<quarantine::verdict> quarantine::connection_ended(steady_time now, double jitter) {
    auto accused = std::exchange(accused_, {});
    const auto tried = std::exchange(on_trial_, std::nullopt);
    // Who is on trial was the only one that was new to a connection on which the others worked.
    const auto culprit =
        std::find_if(accused.begin(), accused.end(), [&](const accusation& a) { return a.channel == tried; });
    if (tried && culprit != accused.end()) accused = {*culprit};
    std::vector<verdict> found;
    for (auto& [channel, what] : accused) {
        record& of = held_[channel];
        if (of.strikes++ == 0) of.since = now;
        of.sick = of.sick || accused.size() == 1 || of.strikes > 1;
        of.trial_at = now;
        if (!of.sick) continue;
        const auto quarter = std::chrono::floor<std::chrono::milliseconds>((now - of.since) / 4);
        const auto pause =
            std::min({pause_max, pause_min * (1U << std::min(of.strikes - 1, 10U)), std::max(pause_soon_max, quarter)});
        const auto jittered = std::chrono::duration_cast<std::chrono::milliseconds>(pause * (0.75 + jitter / 2));
        of.trial_at = now + jittered;
        found.push_back({channel, std::move(what), jittered});
    }
    return found;
}

std::optional<std::uint64_t> quarantine::begin_trial(steady_time now) {
    if (on_trial_) return std::nullopt;
    // Those who were only near go first: they will hardly take the connection away from the others.
    auto chosen = held_.end();
    for (auto at = held_.begin(); at != held_.end(); ++at) {
        if (at->second.trial_at > now) continue;
        if (chosen == held_.end() || at->second.strikes < chosen->second.strikes) chosen = at;
    }
    if (chosen == held_.end()) return std::nullopt;
    on_trial_ = chosen->first;
    return on_trial_;
}

std::optional<steady_time> quarantine::next_trial_at() const {
    if (on_trial_ || held_.empty()) return std::nullopt;
    const auto first = std::min_element(
        held_.begin(), held_.end(), [](const auto& a, const auto& b) { return a.second.trial_at < b.second.trial_at; });
    return first->second.trial_at;
}

void quarantine::acquit(std::uint64_t channel) {
    if (on_trial_ == channel) on_trial_.reset();
    held_.erase(channel);
}

}  // namespace foz::amqp
