#include "core/scheduler.hpp"

#include <algorithm>
#include <utility>

namespace foz::sim {

void scheduler::at(steady_time when, action what) {
    heap_.push_back({std::max(when, now_), ++numbers_, std::move(what)});
    std::push_heap(heap_.begin(), heap_.end(), later);
}

bool scheduler::run_until(steady_time until) {
    while (!heap_.empty() && heap_.front().when <= until) {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        event next = std::move(heap_.back());
        heap_.pop_back();
        if (next.when != now_) in_this_instant_ = 0;
        if (++in_this_instant_ > events_per_instant_max) return false;
        now_ = next.when;
        ++events_;
        next.what();
    }
    now_ = std::max(now_, until);
    return true;
}

}  // namespace foz::sim
