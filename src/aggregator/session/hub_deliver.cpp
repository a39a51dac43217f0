// Services → clients: the part of a hub that delivers.
#include "aggregator/session/event_frame.hpp"
#include "aggregator/session/hub.hpp"
#include "base/planted.hpp"

#include <utility>

namespace foz::aggregator {

void hub::remember(const entry_ref& item) {
    if (!item->where) return;
    channel& on = shared_.channels[item->channel];
    on.recent.push(item);
    on.where = item->where;
    if (++on.entries % position_stride_ == 0) shared_.out.want_work();  // somebody may be due
    if (!shared_.ahead.empty()) wake_ahead(item->channel);
}

// They look again whether the channel has come as far as they are.
void hub::wake_ahead(std::size_t channel) {
    std::erase_if(shared_.ahead, [&](const auto& one) {
        if (one.second != channel) return false;
        shared_.resuming.push_back(one);
        return true;
    });
    shared_.out.want_work();
}

void hub::dispatch(const entry_ref& item) {
    collect(item);
    hand_out();
}

void hub::collect(const entry_ref& item) {
    if (!run_.takes(*item)) hand_out();
    remember(item);
    if (run_.takes(*item)) return run_.add(item);
    // Nobody is told a position behind it before.
    if (item->too_large) gap(item->channel, envelope::gap_cause::too_large, item->where);
    if (item->answer) {
        deliver_answer(*item);
    } else {
        deliver(*item);
    }
    settle_joins();
}

void hub::deliver(const entry& item) {
    entry_frames frames(item);
    shared_.channels[item.channel].heard.each(item, [&](member who, const entry_route& route) {
        if (session* const one = find(who)) one->deliver(frames.of(route), item);
    });
}

// Whatever changes who hears a channel, or tells a session where it is, comes after this.
void hub::hand_out() {
    if (run_.empty()) return;
    const frame_ref joined = run_.joined();
    const std::size_t entries = run_.size();
    const entry& first = run_.first();
    shared_.channels[first.channel].heard.each(first, [&](member who, const entry_route&) {
        if (session* const one = find(who)) one->deliver({&joined, 1}, first, entries);
    });
    run_.clear();
}

// All sockets of a client live on one shard; on the others nobody asked.
void hub::deliver_answer(const entry& item) {
    const entry_answer& answer = *item.answer;
    if (shared_.asked.take(item)) {
        ++shared_.counters.answers;
        return;
    }
    // Another aggregator was asked. The client may be back here, where primus-responder still knows the request by its
    // id; a socket that does not know it ignores it.
    bool any = false;
    shared_.names.each_of(answer.to.client.view(), [&](member who) {
        session* const one = find(who);
        if (!one) return;
        any = true;
        one->pass_answer(item);
    });
    if (any) ++shared_.counters.answers;
}

// At once, as an entry for all is: nobody is told a place behind it before.
void hub::gap(std::size_t channel, envelope::gap_cause cause, const std::optional<envelope::position>& where) {
    if (cause == envelope::gap_cause::lost && planted(bug::loss_not_told)) return;
    hand_out();
    auto& on = shared_.channels[channel];
    if (cause != envelope::gap_cause::too_large) void_history(on);
    const frame_ref told = event_frame(
        envelope::gap_event{.channel = shared_.config.channels[channel].name, .cause = cause, .where = where});
    for (std::uint32_t i = 0; i < slots_.extent(); ++i)
        if (session* const one = slots_[i].get(); one && on.heard.contains(one->self()))
            one->tell_gap(channel, told, cause);
}

void hub::forget_history(std::size_t channel) {
    void_history(shared_.channels[channel]);
}

void hub::void_history(channel& on) {
    for (recent_entries::block& one : on.recent.release()) discarded_.push_back(std::move(one));
    on.where.reset();
    if (!discarded_.empty()) shared_.out.want_work();
}

}  // namespace foz::aggregator
