// Virtual time, and what happens when.
#pragma once

#include "base/clock.hpp"
#include "core/random.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace foz::sim {

using action = std::move_only_function<void()>;

// The only place where time moves. Events happen in the order of their times, those of one instant in the order in
// which they were arranged.
class scheduler final : public clock {
public:
    // Events of one instant. Beyond that something wakes itself for ever.
    static constexpr std::size_t events_per_instant_max = 200'000;

    steady_time now() const override { return now_; }
    // Begins in 2026: what is compared with years of real time stays plausible.
    wall_time wall_now() const override {
        using namespace std::chrono;
        return wall_time(seconds(1'767'225'600) + duration_cast<wall_time::duration>(now_.time_since_epoch()));
    }

    void at(steady_time when, action what);
    void after(duration span, action what) { at(now_ + span, std::move(what)); }

    // Runs what is due until then; the time is `until` afterwards. False: an instant does not end.
    bool run_until(steady_time until);

    std::uint64_t events() const noexcept { return events_; }

private:
    struct event {
        steady_time when;
        std::uint64_t number;
        action what;
    };
    static bool later(const event& a, const event& b) noexcept {
        return a.when != b.when ? a.when > b.when : a.number > b.number;
    }

    steady_time now_{std::chrono::hours(1)};
    std::uint64_t numbers_ = 0;
    std::uint64_t events_ = 0;
    std::size_t in_this_instant_ = 0;
    std::vector<event> heap_;
};

}  // namespace foz::sim
