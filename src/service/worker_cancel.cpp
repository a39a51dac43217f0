// Requests that their callers have cancelled: one that has not begun is acknowledged without its handler, one that runs
// is told. What nobody waits for is handled, whatever is said of it.
#include "service/request_state.hpp"
#include "service/worker_core.hpp"

#include <algorithm>
#include <utility>

namespace foz::service {
namespace {

constexpr std::size_t cancelled_ids_max = 1'024;
// Between the caller's aggregator's clock and ours.
constexpr std::chrono::seconds clock_tolerance{5};

}  // namespace

void worker_core::on_cancelled(std::string_view message_id) {
    if (const auto at = running_.find(message_id); at != running_.end()) {
        *at->second = true;
        return;
    }
    // It may be on its way, or come again.
    cancelled_.emplace_back(message_id);
    if (cancelled_.size() > cancelled_ids_max) cancelled_.pop_front();
    const auto waiting =
        std::ranges::find_if(waiting_, [&](const request_ptr& r) { return r->message_id() == message_id; });
    if (waiting != waiting_.end() && was_cancelled(**waiting)) {
        const request_ptr r = std::move(*waiting);
        waiting_.erase(waiting);
        pass_over(*r);
    }
    const auto held =
        std::ranges::find_if(held_, [&](const held_message& one) { return one.what->message_id() == message_id; });
    if (held != held_.end() && was_cancelled(*held->what)) {
        const request_ptr r = std::move(held->what);
        held_.erase(held);
        counters_.held = held_.size();
        --consumer_of(*r).held;
        pass_over(*r);
        leave_lane(*r, false);
        consumer_of(*r).adjust();
    }
    start_work();
}

bool worker_core::was_cancelled(const request& r) const {
    if (!r.awaits_reply()) return false;
    // What was begun before may have been extended, or have said parts.
    const bool too_late = !r.redelivered() && r.deadline() && *r.deadline() + clock_tolerance < home_.time().wall_now();
    return too_late || std::ranges::find(cancelled_, r.message_id()) != cancelled_.end();
}

void worker_core::pass_over(const request& r) {
    r.state_->from->ack(r.state_->id);
    ++counters_.cancelled;
    // The client's later messages wait for nothing that comes.
    consumer& from = consumer_of(r);
    if (const auto at = from.lanes.find(r.client()); at != from.lanes.end() && at->second.awaited == r.message_id())
        from.lanes.erase(at);
}

}  // namespace foz::service
