// Going on where a client left: the part of a session that does what its resume_cursor says.
#include "aggregator/session/session.hpp"
#include "base/planted.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace foz::aggregator {
namespace {

// Who waits for a socket to take what it was given looks at it so often: it is slow if it has taken nothing since the
// last look. That look may have come shortly before the socket was full.
constexpr std::chrono::seconds patience_max{20};
constexpr std::chrono::seconds stuck_min{19};
// More is not queued for one socket before it has taken some of it; above the socket's high watermark, since it is
// told of draining only after it was above that, and below what would make it slow.
std::size_t burst_bytes(const session_settings& config) {
    return std::min<std::size_t>(512 * 1024, config.queue_bytes_max / 2);
}

using kind = envelope::resume_from::kind;

}  // namespace

session::resuming* session::resuming_on(std::size_t channel) noexcept {
    return const_cast<resuming*>(std::as_const(*this).resuming_on(channel));
}

const session::resuming* session::resuming_on(std::size_t channel) const noexcept {
    const auto* const all = resuming_.find();
    if (!all) return nullptr;
    const auto at = all->find(channel);
    return at == all->end() ? nullptr : &at->second;
}

// Nothing is delivered from here: each resume takes its turn among those of the shard (hub::work()).
void session::resume(std::size_t channel, const envelope::resume_from& from) {
    ++shared_.counters.resumes;
    const auto* const before = resuming_on(channel);
    const bool queued = before && before->queued;
    end_resume(channel);
    auto& state = resuming_.get()
                      .try_emplace(channel, *this, channel, ++tickets_, from, shared_.config.resume_entries_max)
                      .first->second;
    if (!planted(bug::live_while_resuming)) shared_.channels[channel].heard.pause(self_, true);
    read_interest(state);
    state.queued = queued;  // in the place of the one before: who asks a thousand times has one turn
    go_on_soon(state);
}

// It tells which entries are worth a look.
void session::read_interest(resuming& state) const {
    state.wanted = shared_.channels[state.channel].heard.find(self_).value_or(interest{});
    state.cursor.interest_changed();
}

void session::go_on_soon(resuming& state) {
    if (std::exchange(state.queued, true)) return;
    shared_.resuming.emplace_back(self_, state.channel);
    shared_.out.want_work();
}

reading_id session::reading_of(const resuming& state) const {
    // The serial of a session is its slot's generation and the slot.
    const std::uint64_t serial = (static_cast<std::uint64_t>(self_.generation) << 32) | self_.slot;
    return {.channel = state.channel, .shard = shared_.shard, .session = serial, .ticket = state.ticket};
}

bool session::go_on(std::size_t channel, std::size_t& budget) {
    resuming* const found = resuming_on(channel);
    if (!found) return false;
    resuming& state = *found;
    state.queued = false;
    if (closing_) return false;
    while (budget > 0) {
        if (shared_.out.queued_bytes(self_) > burst_bytes(shared_.config)) {
            if (!state.patience.active()) state.patience.start(shared_.wheel, patience_max);
            return false;  // on_drained() goes on
        }
        const auto& here = shared_.channels[channel];
        const resume_cursor::listener who{.is = {.client = client(),
                                                 .session = id(),
                                                 .broadcast = state.wanted.broadcast,
                                                 .direct = state.wanted.direct,
                                                 .own_name = state.wanted.own_name},
                                          .groups = &state.wanted.groups};
        if (!take_step(state, state.cursor.next(here.recent, here.where, who, budget))) return false;
    }
    go_on_soon(state);
    return true;
}

// False: there is nothing to be done now, or `state` is no more.
bool session::take_step(resuming& state, resume_cursor::step step) {
    using enum resume_cursor::action;
    const std::size_t channel = state.channel;
    switch (step.what) {
        case pause:
            return true;
        case wait:
            if (state.cursor.now() == resume_cursor::state::in_ring) shared_.ahead.emplace_back(self_, channel);
            return false;
        case deliver:
            replay(channel, step.item);
            return !closing_;
        case read:
            ask_for_page(state, step.from);
            return true;
        case page_done:
            shared_.out.page_taken(reading_of(state), step.more);
            return true;
        case gap:
            send_gap(channel, step.cause, step.where);
            return true;
        case live:
            become_live(channel);
            return false;
        case ended:
            end_resume(channel);
            return false;
    }
    return false;
}

void session::ask_for_page(resuming& state, envelope::resume_from from) {
    // All that ask for a time that has not come yet are one group.
    if (from.what == kind::since) from.since_ms = std::min(from.since_ms, static_cast<std::uint64_t>(now_ms()));
    shared_.out.read_older({.who = reading_of(state), .from = from});
}

void session::on_page(const reading_id& which, page next_page) {
    resuming* const state = resuming_on(which.channel);
    const bool awaited =
        state && state->ticket == which.ticket && !closing_ && state->cursor.now() == resume_cursor::state::awaits_page;
    if (!awaited) return shared_.out.page_taken(which, false);
    state->cursor.take(std::move(next_page));
    go_on_soon(*state);
}

void session::replay(std::size_t channel, const entry_ref& item) {
    if (item->too_large) return send_gap(channel, envelope::gap_cause::too_large, item->where);
    if (has_expired(*item, shared_.time.wall_now(), shared_.config.clock_tolerance)) {
        ++shared_.counters.expired;
        return;
    }
    if (item->answer) {
        // A client that has asked may have lost the answer together with the socket that it went to.
        if (item->answer->to.client.view() == client() &&
            !(shared_.asked.waits_for(item->channel, *item->answer) && shared_.asked.take(*item)))
            pass_answer(*item);
        return;
    }
    const entry_route* const route = shared_.channels[channel].heard.route_for(
        self_, *item, [&](const entry_route& one) { return may_replay(channel, *item, one); });
    if (!route) return;
    if (item->question) be_asked(channel, *item->question);
    ++shared_.counters.deliveries;
    entry_frames frames(*item);
    send(frames.of(*route));
}

// What was said to a group before this session was in it may be none of its business.
bool session::may_replay(std::size_t channel, const entry& item, const entry_route& route) const {
    const oddities* const odd = odd_.find();
    if (!odd || odd->joined_at.empty() || route.how != envelope::via::multicast || route.receivers.empty()) return true;
    const auto at = odd->joined_at.find({channel, route.receivers.front()});
    return at == odd->joined_at.end() || item.timestamp_s >= at->second;
}

// Everything has been delivered up to here: live entries follow.
void session::become_live(std::size_t channel) {
    end_resume(channel);
    auto& on = shared_.channels[channel];
    if (!on.where) return;
    std::string json;
    envelope::append(json,
                     envelope::position_event{.channel = shared_.config.channels[channel].name, .where = *on.where});
    send_control(json);
    on.positions.track(self_, on.entries);
}

void session::end_resume(std::size_t channel) {
    if (!resuming_on(channel)) return;
    const auto ended = resuming_.get().extract(channel);
    if (resuming_.get().empty()) resuming_.drop();
    const resuming& state = ended.mapped();
    if (hears(channel)) shared_.channels[channel].heard.pause(self_, false);
    if (state.cursor.reads_the_stream()) shared_.out.page_taken(reading_of(state), false);
}

// A socket that takes some of what waits for it is slow, but it is there; other channels may fill it as fast.
void session::on_patience(resuming& state) {
    if (shared_.out.stuck(self_, stuck_min)) return close_slow();
    state.patience.start(shared_.wheel, patience_max);
}

void session::tell_position(std::size_t channel, const frame_ref& frame) {
    // A session that is still being brought up to date has not come so far.
    if (closing_ || resuming_on(channel)) return;
    ++shared_.counters.positions;
    shared_.out.send(self_, frame);
}

void session::tell_gap(std::size_t channel, const frame_ref& frame, envelope::gap_cause cause) {
    if (closing_) return;
    if (const resuming* const behind = resuming_on(channel)) {
        // It meets an entry that is too large among the others. What has gone is no loss to who has it already, or is
        // in the new stream: the stream is asked.
        if (cause != envelope::gap_cause::too_large) resume(channel, behind->cursor.from_here());
        return;
    }
    shared_.counters.count_gap(cause);
    shared_.out.send(self_, frame);
}

void session::send_gap(std::size_t channel, envelope::gap_cause cause, const std::optional<envelope::position>& where) {
    shared_.counters.count_gap(cause);
    std::string json;
    envelope::append(
        json, envelope::gap_event{.channel = shared_.config.channels[channel].name, .cause = cause, .where = where});
    send_control(json);
}

}  // namespace foz::aggregator
