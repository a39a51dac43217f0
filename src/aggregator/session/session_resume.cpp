// Going on where a client left: first what it missed, then what comes.
//
// While a channel is being resumed, live messages are not delivered: they are among the channel's recent messages,
// which are read until the end is reached. What is older is read from the stream (catch_up) until it meets them.
#include "aggregator/session/session.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

// Of a socket that does not drain.
constexpr std::chrono::seconds patience_max{20};
// More is not queued for one socket before it has taken some of it; below the stream's high watermark of 256 KiB it
// would not be told of draining.
constexpr std::size_t burst_bytes = 512 * 1024;

using kind = envelope::resume_from::kind;

}  // namespace

void session::resume(std::size_t channel, const envelope::resume_from& from) {
    ++hub_.counters().resumes;
    hub_.track(channel, *this);
    const recent_messages& recent = hub_.recent(channel);
    end_resume(channel);
    const auto at = resuming_.try_emplace(channel, *this, channel, ++tickets_).first;
    resuming& state = at->second;
    if (from.what == kind::since) state.since_s = from.since_ms / 1000;
    if (recent.empty()) return read_stream(state, from);
    if (from.what == kind::at) {
        const envelope::position& head = *recent.back().where;
        const auto entry = recent.from(from.where.offset);
        const bool known = entry != recent.end() && (*entry)->where->offset == from.where.offset;
        if (from.where.offset > head.offset || (known && *(*entry)->where != from.where)) {
            // That position is of another stream of this name.
            tell_gap(channel, envelope::gap_cause::recreated, head);
            return end_resume(channel);
        }
        if (!known) return read_stream(state, from);
        state.next_offset = from.where.offset + 1;
        state.last = from.where;
        return pump(channel);
    }
    const std::uint64_t oldest_s = recent.front().timestamp_s;
    if (from.what == kind::since && oldest_s != 0 && oldest_s < state.since_s) {
        state.next_offset = recent.front().where->offset;
        return pump(channel);
    }
    read_stream(state, from);
}

void session::read_stream(resuming& state, envelope::resume_from from) {
    // All who ask for a time that has not come yet are one group.
    const auto now = static_cast<std::uint64_t>(unix_ms(hub_.home().time().wall_now()).count());
    if (from.what == kind::since) from.since_ms = std::min(from.since_ms, now);
    state.reading_stream = true;
    hub_.catch_up({.channel = state.channel,
                   .from = from,
                   .home = &hub_,
                   .session = serial_,
                   .ticket = state.ticket,
                   .has_recent = !hub_.recent(state.channel).empty()});
}

void session::take_page(catch_up_page page) {
    const auto at = resuming_.find(page.job.channel);
    if (at == resuming_.end() || at->second.ticket != page.job.ticket || closing_) return page.taken(false);
    resuming& state = at->second;
    const recent_messages& recent = hub_.recent(state.channel);
    const auto& entries = *page.entries;
    if (page.gap) {
        const bool any = page.begin < entries.size();
        tell_gap(state.channel, *page.gap, any ? entries[page.begin]->where : hub_.position(state.channel));
        if (*page.gap == envelope::gap_cause::recreated) {
            end_resume(page.job.channel);
            return page.taken(false);
        }
    }
    for (std::size_t i = page.begin; i < entries.size(); ++i) {
        state.next_offset = entries[i]->where->offset;
        if (!recent.empty() && state.next_offset >= recent.front().where->offset) {
            state.reading_stream = false;
            page.taken(false);
            return pump(page.job.channel);
        }
        if (!replay(state, entries[i])) return page.taken(false);
        state.next_offset += 1;
    }
    if (page.last) {
        state.reading_stream = false;
        if (!recent.empty()) state.next_offset = std::max(state.next_offset, recent.front().where->offset);
        page.taken(false);
        return pump(page.job.channel);
    }
    if (socket_->queued_bytes() <= burst_bytes) return page.taken(true);
    state.patience.start(hub_.home().wheel(), patience_max);
    state.taken = std::move(page.taken);
}

// Delivers recent messages until the socket has enough for now, or nothing is left: then the channel is live.
void session::pump(std::size_t channel) {
    const auto at = resuming_.find(channel);
    if (at == resuming_.end() || closing_) return;
    resuming& state = at->second;
    state.patience.cancel();
    if (state.taken) return std::exchange(state.taken, {})(true);
    if (state.reading_stream) return;
    const recent_messages& recent = hub_.recent(channel);
    if (!recent.empty() && recent.front().where->offset > state.next_offset) {
        // The socket is so slow that the recent messages have moved on: the stream has what is missing.
        if (state.last) return read_stream(state, {.what = kind::at, .where = *state.last});
        tell_gap(channel, envelope::gap_cause::slow, recent.front().where);
        state.next_offset = recent.front().where->offset;
    }
    for (auto entry = recent.from(state.next_offset); entry != recent.end(); ++entry) {
        if (socket_->queued_bytes() > burst_bytes) return state.patience.start(hub_.home().wheel(), patience_max);
        if (!replay(state, *entry)) return;
        state.next_offset = (*entry)->where->offset + 1;
    }
    end_resume(channel);
    // Positions that were told meanwhile did not hold for this socket.
    if (const auto& here = hub_.position(channel)) {
        std::string json;
        envelope::append(json,
                         envelope::position_event{.channel = hub_.config().channels[channel].name, .where = *here});
        send_control(json);
    }
}

// False: this resume has ended.
bool session::replay(resuming& state, const entry_ref& entry) {
    state.last = entry->where;
    // What does not say when it was said, was said about when the one before was.
    if (entry->timestamp_s != 0) state.said_s = entry->timestamp_s;
    if (state.said_s != 0 && state.said_s < state.since_s) return true;
    if (++state.entries > hub_.config().resume_entries_max) {
        const std::size_t channel = state.channel;
        tell_gap(channel, envelope::gap_cause::too_far, hub_.position(channel));
        end_resume(channel);
        return false;
    }
    const auto now = hub_.home().time().wall_now();
    if (entry->end_of_life_ms != 0 && static_cast<std::uint64_t>(unix_ms(now).count()) > entry->end_of_life_ms)
        return true;
    if (entry->answer) {
        // Who has asked may have lost the answer together with the socket that it went to.
        if (entry->answer->to.client == client && !(hub_.asked().waits_for(entry->channel, *entry->answer) &&
                                                    hub_.asked().take(entry->channel, *entry->answer)))
            pass_answer(*entry);
        return true;
    }
    const entry_route* const route = hub_.heard_on(entry->channel).route_for(self_, *entry);
    if (!route) return true;
    if (entry->question) hub_.asked_of_clients().ask(state.channel, *entry->question, serial_, now);
    ++hub_.counters().deliveries;
    for (const frame_ref& piece : entry_frames(*entry).of(*route)) socket_->send(piece);
    return true;
}

void session::end_resume(std::size_t channel) {
    auto ended = resuming_.extract(channel);
    if (!ended.empty() && ended.mapped().taken) ended.mapped().taken(false);
}

void session::tell_position(std::size_t channel, const frame_ref& frame) {
    // One that is still being brought up to date has not come so far.
    if (!resuming_.contains(channel)) send(frame);
}

void session::tell_gap(std::size_t channel, envelope::gap_cause cause, const std::optional<envelope::position>& where) {
    ++hub_.counters().gaps;
    std::string json;
    envelope::append(
        json, envelope::gap_event{.channel = hub_.config().channels[channel].name, .cause = cause, .where = where});
    send_control(json);
}

}  // namespace foz::aggregator
