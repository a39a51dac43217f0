// Times of the wall clock that others name.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <chrono>

namespace foz {

// What the clock can't tell (the year 9999, say) is its last or first moment, not another time.
template <class Duration>
constexpr wall_time as_wall_time(std::chrono::sys_time<Duration> t) {
    constexpr auto last = std::chrono::floor<Duration>(wall_time::max());
    constexpr auto first = std::chrono::ceil<Duration>(wall_time::min());
    return std::clamp(t, first, last);
}

}  // namespace foz
