// Services → clients: the part of a hub that delivers.
#include "aggregator/session/session.hpp"
#include "aggregator/shard/hub.hpp"
#include "contract/names.hpp"
#include "ws/codec/writer.hpp"

#include <utility>

namespace foz::aggregator {
namespace {

template <class Event>
frame_ref frame_of(const Event& event) {
    std::string json, frame;
    envelope::append(json, event);
    ws::append_frame(frame, ws::opcode::text, json);
    return frame_ref::copy(frame);
}

}  // namespace

void hub::dispatch(const entry_ref& message) {
    if (message->where) {
        remember(message);
        if (++channels_[message->channel].entries_since_told >= settings_.position_entries)
            tell_positions(message->channel);
    }
    if (message->answer) return deliver_answer(*message);
    ++round_;
    for (const entry_route& route : message->routes) deliver(*message, route, round_);
}

void hub::remember(const entry_ref& message) {
    channel_state& channel = channels_[message->channel];
    channel.recent.push(message);
    channel.where = message->where;
}

void hub::forget_recent(std::size_t channel) {
    channels_[channel].recent.clear();
    channels_[channel].where.reset();
}

void hub::deliver(const entry& message, const entry_route& route, std::uint64_t round) {
    frame_ref frame;  // made at the first receiver: most messages have none on most shards
    const auto to = [&](subscriber& who) {
        if (!frame) frame = frame_ref::of(route.frame);
        static_cast<session&>(who).deliver(frame, message);
    };
    const audience& heard = channels_[message.channel].heard;
    switch (route.how) {
        case envelope::via::direct:
            for (const std::string& receiver : route.receivers) {
                if (receiver.starts_with(contract::session_prefix)) {
                    heard.direct_session(std::string_view(receiver).substr(contract::session_prefix.size()), round, to);
                } else {
                    heard.direct(receiver, round, to);
                }
            }
            return;
        case envelope::via::multicast:
            return heard.multicast(route.receivers.front(), message.topic, round, to);
        case envelope::via::broadcast:
            return heard.broadcast(message.topic, round, to);
    }
}

// All sockets of a client live on one shard; on the others nobody asked.
void hub::deliver_answer(const entry& entry) {
    const entry_answer& answer = *entry.answer;
    if (requests_.take(entry.channel, answer)) {
        ++counters_.answers;
        return;
    }
    const auto& sockets = sockets_of(answer.to.client);
    if (sockets.empty()) return;
    ++counters_.answers;
    // Another aggregator was asked. The client may be back here, where primus-responder still knows the request by its
    // id; whoever does not know it ignores it.
    for (session* who : sockets) who->pass_answer(entry);
}

const std::vector<session*>& hub::sockets_of(const client_id& client) const {
    static const std::vector<session*> none;
    const auto at = by_client_.find(client.view());
    return at == by_client_.end() ? none : at->second;
}

void hub::reply(const client_id& client, const reply_context& context, std::string_view json) {
    for (session* who : sockets_of(client)) who->respond(context, json);
}

void hub::replay(const reading_id& who, const page& what) {
    session* const to = find(who.session);
    if (!to) return taken(who, false);
    to->take_page(who, what);
}

void hub::gap(std::size_t channel, envelope::gap_cause cause, const std::optional<envelope::position>& where) {
    channel_state& state = channels_[channel];
    if (cause != envelope::gap_cause::too_large) forget_recent(channel);
    const frame_ref frame =
        frame_of(envelope::gap_event{.channel = settings_.channels[channel].name, .cause = cause, .where = where});
    for (const auto& [serial, who] : sessions_) {
        if (!state.heard.find(*who)) continue;
        ++counters_.gaps;
        who->send(frame);
        if (cause == envelope::gap_cause::recreated) who->end_resume(channel);
    }
}

// One frame for all: nothing in it depends on who hears it.
void hub::tell_positions(std::size_t channel) {
    channel_state& state = channels_[channel];
    state.entries_since_told = 0;
    if (!state.where || state.told == state.where) return;
    state.told = state.where;
    if (state.trackers.empty()) return;
    const frame_ref frame =
        frame_of(envelope::position_event{.channel = settings_.channels[channel].name, .where = *state.where});
    for (session* who : state.trackers) who->tell_position(channel, frame);
}

void hub::on_position_interval() {
    for (std::size_t i = 0; i < channels_.size(); ++i) tell_positions(i);
    position_timer_.start(home_.wheel(), settings_.position_interval);
}

}  // namespace foz::aggregator
