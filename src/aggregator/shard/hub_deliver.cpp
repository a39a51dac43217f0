// Services → clients: the part of a hub that delivers.
#include "aggregator/session/session.hpp"
#include "aggregator/shard/hub.hpp"
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
    channel_state& channel = channels_[message->channel];
    if (message->where) {
        channel.recent.push(message);
        channel.where = message->where;
        if (++channel.entries_since_told >= settings_.position_entries) tell_positions(message->channel);
    }
    if (message->answer) return deliver_answer(*message);
    entry_frames frames(*message);
    channel.heard.each(*message, [&](member who, const entry_route& route) {
        slots_[who.slot].first->deliver(frames.of(route), *message);
    });
}

// All sockets of a client live on one shard; on the others nobody asked.
void hub::deliver_answer(const entry& entry) {
    const entry_answer& answer = *entry.answer;
    if (requests_.take(entry.channel, answer)) {
        ++counters_.answers;
        return;
    }
    const auto sockets = sockets_of(answer.to.client);
    if (sockets.empty()) return;
    ++counters_.answers;
    // Another aggregator was asked. The client may be back here, where primus-responder still knows the request by its
    // id; whoever does not know it ignores it.
    for (session* who : sockets) who->pass_answer(entry);
}

std::vector<session*> hub::sockets_of(const client_id& client) const {
    std::vector<session*> all;
    names_.each_of(client.view(), [&](member who) { all.push_back(slots_[who.slot].first); });
    return all;
}

void hub::reply(const client_id& client, const reply_context& context, std::string_view json) {
    for (session* who : sockets_of(client)) who->respond(context, json);
}

void hub::replay(catch_up_page page) {
    session* const who = find(page.job.session);
    if (!who) return page.taken(false);
    who->take_page(std::move(page));
}

void hub::gap(std::size_t channel, envelope::gap_cause cause) {
    channel_state& state = channels_[channel];
    state.recent.clear();
    state.where.reset();
    const frame_ref frame = frame_of(envelope::gap_event{.channel = settings_.channels[channel].name, .cause = cause});
    state.heard.each_member([&](member who) {
        ++counters_.gaps;
        slots_[who.slot].first->send(frame);
        if (cause == envelope::gap_cause::recreated) slots_[who.slot].first->end_resume(channel);
    });
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
