#include "net/timing_wheel.hpp"

namespace foz::net {

void wheel_timer::start(timing_wheel& wheel, std::chrono::milliseconds after) {
    cancel();
    const auto ticks =
        static_cast<std::uint64_t>((after + timing_wheel::tick - std::chrono::milliseconds(1)) / timing_wheel::tick);
    wheel.link(*this, wheel.current_tick_ + ticks + 1);  // + 1: the current tick is already under way
}

void wheel_timer::cancel() noexcept {
    if (!previous_) return;
    *previous_ = next_;
    if (next_) next_->previous_ = previous_;
    next_ = nullptr;
    previous_ = nullptr;
}

timing_wheel::~timing_wheel() {
    for (wheel_timer* slot : slots_)
        while (slot) {
            wheel_timer* const next = slot->next_;
            slot->next_ = nullptr;
            slot->previous_ = nullptr;
            slot = next;
        }
}

void timing_wheel::link(wheel_timer& timer, std::uint64_t due_tick) noexcept {
    timer.due_tick_ = due_tick;
    wheel_timer*& slot = slots_[due_tick % slot_count];
    timer.next_ = slot;
    timer.previous_ = &slot;
    if (slot) slot->previous_ = &timer.next_;
    slot = &timer;
}

void timing_wheel::advance(steady_time now) {
    const auto target = static_cast<std::uint64_t>((now - start_) / tick);
    while (current_tick_ < target) {
        ++current_tick_;
        // First collect, then run: callbacks may change any list.
        for (wheel_timer* timer = slots_[current_tick_ % slot_count]; timer;) {
            wheel_timer* const next = timer->next_;
            if (timer->due_tick_ <= current_tick_) {
                timer->cancel();
                timer->next_ = due_;
                timer->previous_ = &due_;
                if (due_) due_->previous_ = &timer->next_;
                due_ = timer;
            }
            timer = next;
        }
        while (due_) {
            wheel_timer& timer = *due_;
            timer.cancel();
            timer.expired_(timer.context_);  // may destroy the timer
        }
    }
}

}  // namespace foz::net
