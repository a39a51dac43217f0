#include "aggregator/session/rate_limits.hpp"

#include "aggregator/channel/id_table.hpp"

#include <algorithm>
#include <cassert>

namespace foz::aggregator {
namespace {

// Whoever was too fast goes on with so much saved up, so that it doesn't stop at each frame again, or is refused at
// each message; at most half of what can be: only who has kept still has all of it.
constexpr std::chrono::milliseconds saved_after_pause{100};
constexpr std::chrono::milliseconds saved_after_refusal{1'000};
// Accounts that are looked at with each one that is made: they go faster than they come.
constexpr std::size_t looks_for_one = 2;

token_rate rate(std::uint32_t per_second, const client_limits& limits) {
    return {.per_second = per_second, .burst = limits.burst};
}

std::uint64_t tokens_in(std::chrono::milliseconds span, const token_rate& of) {
    const auto saved = static_cast<std::uint64_t>(std::min(span, of.burst / 2).count());
    return std::max<std::uint64_t>(1, of.per_second * saved / 1'000);
}

// Until nothing is owed and a little is saved up; 0 when nothing is owed.
std::chrono::nanoseconds pause_of(const token_bucket& of, const token_rate& by, steady_time now) {
    if (of.wait_for(0, by, now).count() == 0) return {};
    return of.wait_for(tokens_in(saved_after_pause, by), by, now);
}

}  // namespace

bool rate_limits::account::full(steady_time now) const {
    return full_at() <= now;
}

steady_time rate_limits::account::full_at() const {
    steady_time at = std::max({frames.full_at(), octets.full_at(), publishes.tokens.full_at()});
    for (const auto& [channel, bucket] : channels) at = std::max(at, bucket.tokens.full_at());
    return at;
}

rate_limits::rate_limits(const session_settings& config, std::uint64_t hash_seed)
    : config_(config),
      seed_(hash_seed),
      channels_limited_(
          std::ranges::any_of(config.channels, [](const auto& channel) { return channel.publish_rate > 0; })) {}

rate_limits::client_key rate_limits::key_of(std::string_view client) const noexcept {
    return name_hash(client, seed_);
}

void rate_limits::enter(client_key client, std::shared_ptr<const client_limits> limits) {
    assert(limits);
    own_limits& known = own_[client];
    known.what = std::move(limits);
    ++known.sockets;
}

void rate_limits::renew(client_key client, std::shared_ptr<const client_limits> limits) {
    if (const auto at = own_.find(client); at != own_.end()) at->second.what = std::move(limits);
}

void rate_limits::leave(client_key client) {
    const auto at = own_.find(client);
    assert(at != own_.end());
    if (at != own_.end() && --at->second.sockets == 0) own_.erase(at);
}

const client_limits& rate_limits::of(client_key client) const {
    if (own_.empty()) return config_.client;
    const auto at = own_.find(client);
    return at == own_.end() ? config_.client : *at->second.what;
}

rate_limits::account& rate_limits::account_of(client_key client, steady_time now) {
    const auto at = accounts_.find(client);
    if (at != accounts_.end()) {
        if (at->second.over_since && at->second.full(now)) at->second.over_since.reset();
        return at->second;
    }
    sweep(now, looks_for_one);
    if (accounts_.size() >= accounts_max) {
        accounts_.erase(to_look_at_.front());
        to_look_at_.pop_front();
        ++forgotten_;
    }
    to_look_at_.push_back(client);
    return accounts_[client];
}

void rate_limits::sweep(steady_time now, std::size_t budget) {
    for (budget = std::min(budget, to_look_at_.size()); budget > 0; --budget) {
        const client_key client = to_look_at_.front();
        to_look_at_.pop_front();
        const auto at = accounts_.find(client);
        if (at->second.full(now)) {
            accounts_.erase(at);
        } else {
            to_look_at_.push_back(client);
        }
    }
}

rate_limits::excess rate_limits::note(account& of, const client_limits& limits, std::chrono::nanoseconds wait,
                                      steady_time now) {
    using std::chrono::ceil;
    using std::chrono::milliseconds;
    if (!of.over_since) of.over_since = now;
    return {.wait = std::max(ceil<milliseconds>(wait), milliseconds(1)),
            .whole = ceil<milliseconds>(std::max<std::chrono::nanoseconds>(of.full_at() - now, milliseconds(1))),
            .too_long = limits.patience.count() > 0 && now - *of.over_since > limits.patience};
}

std::optional<rate_limits::excess> rate_limits::take_frame(client_key client, std::size_t octets, steady_time now) {
    const client_limits& limits = of(client);
    if (limits.frames == 0 && limits.octets == 0) return std::nullopt;
    account& mine = account_of(client, now);
    const token_rate by_number = rate(limits.frames, limits), by_size = rate(limits.octets, limits);
    mine.frames.take(1, by_number, now);
    mine.octets.take(octets, by_size, now);
    const auto wait = std::max(pause_of(mine.frames, by_number, now), pause_of(mine.octets, by_size, now));
    if (wait.count() == 0) return std::nullopt;
    return note(mine, limits, wait, now);
}

rate_limits::publish_bucket& rate_limits::channel_bucket(account& of, std::size_t channel) {
    const auto at = std::ranges::find(of.channels, channel, &std::pair<std::size_t, publish_bucket>::first);
    return at != of.channels.end() ? at->second : of.channels.emplace_back(channel, publish_bucket{}).second;
}

std::chrono::nanoseconds rate_limits::refusal_of(publish_bucket& of, const token_rate& by, std::uint64_t tokens,
                                                 steady_time now) {
    if (now < of.refused_until) return of.refused_until - now;
    if (of.tokens.wait_for(tokens, by, now).count() == 0) return {};
    return of.tokens.wait_for(std::max(tokens, tokens_in(saved_after_refusal, by)), by, now);
}

std::optional<rate_limits::excess> rate_limits::take_publishes(client_key client, std::span<const std::size_t> channels,
                                                               steady_time now) {
    const client_limits& limits = of(client);
    if (limits.publishes == 0 && !channels_limited_) return std::nullopt;
    account& mine = account_of(client, now);
    // Calls to(bucket, rate, tokens) for each bucket that is concerned, until one says no.
    const auto each = [&](auto&& to) {
        return to(mine.publishes, rate(limits.publishes, limits), channels.size()) &&
               std::ranges::all_of(channels, [&](std::size_t channel) {
                   const token_rate by = rate(config_.channels[channel].publish_rate, limits);
                   return by.per_second == 0 || to(channel_bucket(mine, channel), by, std::size_t{1});
               });
    };
    std::optional<excess> beyond;
    each([&](publish_bucket& from, const token_rate& by, std::size_t tokens) {
        const auto wait = refusal_of(from, by, tokens, now);
        if (wait.count() == 0) return true;
        beyond = note(mine, limits, wait, now);
        beyond->again = now < from.refused_until;
        from.refused_until = now + wait;
        return false;
    });
    if (beyond) return beyond;
    each([&](publish_bucket& from, const token_rate& by, std::size_t tokens) {
        from.tokens.take(tokens, by, now);
        return true;
    });
    return std::nullopt;
}

void paused_readers::add(member who, std::chrono::milliseconds wait) {
    const steady_time due = time_.now() + wait;
    const bool first = pauses_.empty() || due < pauses_.top().due;
    pauses_.push({due, who});
    if (first) start_timer();
}

void paused_readers::start_timer() {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(pauses_.top().due - time_.now());
    timer_.start(wheel_, std::max(left, std::chrono::milliseconds(1)));
}

void paused_readers::on_timer() {
    const steady_time now = time_.now();
    while (!pauses_.empty() && pauses_.top().due <= now) {
        const member who = pauses_.top().who;
        pauses_.pop();
        go_on_(who);
    }
    if (!pauses_.empty()) start_timer();
}

}  // namespace foz::aggregator
