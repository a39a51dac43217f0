// Many coarse timers that are cheap to set and to cancel: heartbeats, handshake and close time-outs.
#pragma once

#include "base/clock.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace foz::net {

class timing_wheel;

// A timer of a timing_wheel, a member of the object that it serves. Destroying it cancels it. Moves with nobody:
// the wheel links to it.
class wheel_timer {
public:
    // wheel_timer idle_{this, [](connection& self) { self.on_idle(); }};
    // Expired is a lambda without captures; it may destroy the owner and with it the timer.
    template <class Owner, class Expired>
    wheel_timer(Owner* owner, Expired) noexcept
        : context_(owner), expired_([](void* context) { Expired{}(*static_cast<Owner*>(context)); }) {}
    wheel_timer(const wheel_timer&) = delete;
    wheel_timer& operator=(const wheel_timer&) = delete;
    ~wheel_timer() { cancel(); }

    // Starts the timer, or starts it anew. The time counts from the clock's now, however long ago the wheel was last
    // advanced. It expires at the first tick at which `after` has passed.
    void start(timing_wheel& wheel, std::chrono::milliseconds after);
    void cancel() noexcept;
    bool active() const noexcept { return previous_ != nullptr; }

private:
    friend class timing_wheel;

    void* context_;
    void (*expired_)(void*);
    wheel_timer* next_ = nullptr;
    wheel_timer** previous_ = nullptr;  // whoever points at us
    std::uint64_t due_tick_ = 0;
};

// A hashed wheel: 512 slots of one tick each; timers further away stay in their slot for as many rounds as they
// need. Lives on one shard, which calls advance() about once a tick.
class timing_wheel {
public:
    static constexpr std::chrono::milliseconds tick{50};

    // The clock outlives the wheel.
    explicit timing_wheel(const clock& time) : time_(time), start_(time.now()) {}
    timing_wheel(const timing_wheel&) = delete;
    timing_wheel& operator=(const timing_wheel&) = delete;
    ~timing_wheel();

    // Runs the callbacks of timers that are due, at most so many of them; true when none is left. A callback may start,
    // cancel and destroy any timer. Each timer runs at most once in an advance, however much time has passed since the
    // last one: a periodic timer does not make up for a stall. Timers run in the order of their ticks, unless more time
    // has passed than the wheel has slots: then those that are overdue by more come in any order.
    bool advance(steady_time now, std::size_t callbacks_max = SIZE_MAX);

private:
    friend class wheel_timer;
    static constexpr std::size_t slot_count = 512;

    void link(wheel_timer& timer, std::uint64_t due_tick) noexcept;
    void push_due(wheel_timer& timer) noexcept;
    void collect(std::uint64_t tick_number) noexcept;

    const clock& time_;
    const steady_time start_;
    std::uint64_t current_tick_ = 0;  // its slot has been emptied of what was due
    std::uint64_t target_tick_ = 0;   // of the advance that is under way, or was the last one
    std::array<wheel_timer*, slot_count> slots_{};
    wheel_timer* due_ = nullptr;  // taken out of a slot, about to run
};

}  // namespace foz::net
