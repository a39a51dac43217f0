#include "net/timing_wheel.hpp"

#include <algorithm>
#include <cassert>

namespace foz::net {

void wheel_timer::start(timing_wheel& wheel, std::chrono::milliseconds after) {
    cancel();
    const auto span = wheel.time_.now() - wheel.start_ + std::max(after, std::chrono::milliseconds(0));
    const auto due =
        static_cast<std::uint64_t>((span + timing_wheel::tick - std::chrono::nanoseconds(1)) / timing_wheel::tick);
    // Not in the advance that is under way: a callback that starts its timer anew would run again and again.
    wheel.link(*this, std::max(due, wheel.target_tick_ + 1));
}

void wheel_timer::cancel() noexcept {
    if (!previous_) return;
    *previous_ = next_;
    if (next_) next_->previous_ = previous_;
    next_ = nullptr;
    previous_ = nullptr;
}

timing_wheel::~timing_wheel() {
    const auto forget = [](wheel_timer* list) {
        while (list) {
            wheel_timer* const next = list->next_;
            list->next_ = nullptr;
            list->previous_ = nullptr;
            list = next;
        }
    };
    for (wheel_timer* slot : slots_) forget(slot);
    forget(due_);
}

void timing_wheel::link(wheel_timer& timer, std::uint64_t due_tick) noexcept {
    assert(due_tick > current_tick_);
    timer.due_tick_ = due_tick;
    wheel_timer*& slot = slots_[due_tick % slot_count];
    timer.next_ = slot;
    timer.previous_ = &slot;
    if (slot) slot->previous_ = &timer.next_;
    slot = &timer;
}

void timing_wheel::push_due(wheel_timer& timer) noexcept {
    timer.next_ = due_;
    timer.previous_ = &due_;
    if (due_) due_->previous_ = &timer.next_;
    due_ = &timer;
}

void timing_wheel::collect(std::uint64_t tick_number) noexcept {
    for (wheel_timer* timer = slots_[tick_number % slot_count]; timer;) {
        wheel_timer* const next = timer->next_;
        if (timer->due_tick_ <= tick_number) {
            timer->cancel();
            push_due(*timer);
        }
        timer = next;
    }
}

bool timing_wheel::advance(steady_time now, std::size_t callbacks_max) {
    target_tick_ = std::max(target_tick_, static_cast<std::uint64_t>((now - start_) / tick));
    for (;;) {
        while (due_) {
            if (callbacks_max-- == 0) return false;
            wheel_timer& timer = *due_;
            timer.cancel();
            timer.expired_(timer.context_);  // may destroy the timer
        }
        if (current_tick_ == target_tick_) return true;
        // After a long stall one round meets every timer that is due.
        if (target_tick_ - current_tick_ > slot_count) current_tick_ = target_tick_ - slot_count;
        // First collect, then run: callbacks may change any list.
        collect(++current_tick_);
    }
}

}  // namespace foz::net
