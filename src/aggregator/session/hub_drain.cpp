// The part of a hub that sends its sessions away: to another aggregator, or for good.
#include "aggregator/session/hub.hpp"

#include <algorithm>

namespace foz::aggregator {
namespace {

// Clients that are sent away come back somewhere: not all at once.
constexpr std::chrono::milliseconds drain_pace{10};
// Who stays because something is owed to it is looked at so often; mostly it goes when that has come.
constexpr std::chrono::milliseconds departure_look{500};

}  // namespace

void hub::drain() {
    if (drains_) return;
    hand_out();
    drains_ = true;
    const auto count = static_cast<std::int64_t>(sessions());
    drain_ = drain_round{.of = std::max<std::size_t>(sessions(), 1),
                         .spread = std::min(shared_.config.drain_spread, drain_pace * count)};
    shared_.out.want_work();
}

void hub::end_drain() {
    drain();
    drain_over_ = true;
    // Answers of durable channels find their clients through other aggregators.
    for (std::size_t i = 0; i < shared_.channels.size(); ++i)
        if (shared_.config.channels[i].delivery == contract::delivery_kind::volatile_) interrupt(i);
    drain_ = drain_round{.of = 1};
    shared_.out.want_work();
}

bool hub::go_round(std::size_t budget) {
    if (!drain_) return false;
    for (; drain_->next_slot < slots_.extent(); ++drain_->next_slot) {
        session* const one = slots_[drain_->next_slot].get();
        if (!one) continue;
        if (budget-- == 0) return true;
        if (drain_over_) {
            if (!one->closing() && one->owes()) ++shared_.counters.sent_away_early;
            one->go_away();
        } else {
            send_away(*one, drain_->spread * drain_->told++ / drain_->of);
        }
    }
    drain_.reset();
    return false;
}

std::size_t hub::disconnect(const disconnect_order& what) {
    std::size_t closed = 0;
    const auto close = [&](member who) {
        session* const one = find(who);
        if (!one || one->closing()) return;
        ++closed;
        what.stay_away ? one->send_off() : one->go_away();
    };
    if (const auto* const client = std::get_if<client_id>(&what.whom)) {
        shared_.names.each_of(client->view(), close);
    } else if (const auto only = shared_.names.find_session(std::get<session_id>(what.whom).view())) {
        close(*only);
    }
    return closed;
}

void hub::send_away(session& one, std::chrono::milliseconds after) {
    if (one.closing()) return;
    ++shared_.counters.sent_away;
    one.tell_drain(after);
    departures_.push({shared_.time.now() + after, one.self()});
    on_departure();
}

void hub::on_departure() {
    if (departures_.empty()) return;
    const steady_time now = shared_.time.now();
    if (departures_.top().due <= now) return shared_.out.want_work();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(departures_.top().due - now);
    departure_timer_.start(shared_.wheel, left);
}

void hub::on_owed(member who, bool more) {
    session* const one = find(who);
    if (!one) return;
    one->owe(more);
    if (one->owes() || !one->may_leave()) return;
    settled_.push_back(who);
    shared_.out.want_work();
}

// Those whose time has come, and those that only waited for what was owed to them.
bool hub::let_go(std::size_t budget) {
    for (; !settled_.empty(); settled_.pop_front()) {
        if (budget-- == 0) return true;
        if (session* const one = find(settled_.front())) one->leave_when_done();
    }
    const steady_time now = shared_.time.now();
    while (!departures_.empty() && departures_.top().due <= now) {
        if (budget-- == 0) return true;
        const member who = departures_.top().who;
        departures_.pop();
        session* const one = find(who);
        if (one && !one->leave_when_done()) departures_.push({now + departure_look, who});
    }
    on_departure();
    return false;
}

}  // namespace foz::aggregator
