#include "core/pipe.hpp"

#include <algorithm>
#include <utility>

namespace foz::sim {

std::shared_ptr<pipe> pipe::make(scheduler& time, rng& random, process& receiver, pipe_options options) {
    auto made = std::make_shared<pipe>(token{}, time, random, receiver, options);
    receiver.reads(made);
    return made;
}

void pipe::send(std::size_t octets, action arrival) {
    if (cut_) return;
    last_ =
        std::max({last_, stalled_until_, time_.now() + random_.between(options_.latency_min, options_.latency_max)});
    octets_ += octets;
    if (!has_room()) full_ = true;
    parcels_.push_back({last_, octets, std::move(arrival)});
    arrange();
}

void pipe::arrange() {
    if (arranged_ || parcels_.empty()) return;
    arranged_ = true;
    const steady_time when = std::max(parcels_.front().when, stalled_until_);
    time_.at(when, [self = shared_from_this()] {
        self->arranged_ = false;
        self->wake();
    });
}

// One parcel at a time: each is an event of its own, between which others happen.
void pipe::wake() {
    if (cut_ || paused_ || parcels_.empty() || !receiver_.running()) return;
    if (stalled_until_ > time_.now() || parcels_.front().when > time_.now()) return arrange();
    parcel next = std::move(parcels_.front());
    parcels_.pop_front();
    octets_ -= next.octets;
    if (full_ && octets_ <= options_.capacity / 2) {
        full_ = false;
        time_.after(random_.between(options_.latency_min, options_.latency_max), [self = shared_from_this()] {
            if (!self->cut_ && self->on_room) self->on_room();
        });
    }
    arrange();
    next.arrival();
}

void pipe::pump() {
    arrange();
}

void pipe::cut() {
    cut_ = true;
    parcels_.clear();
    octets_ = 0;
    on_room = nullptr;
}

void pipe::stall(duration span) {
    stalled_until_ = std::max(stalled_until_, time_.now() + span);
}

void pipe::pause(bool is) {
    paused_ = is;
    if (!is) arrange();
}

}  // namespace foz::sim
