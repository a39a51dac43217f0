// Time is passed in, so that tests and simulations own it.
#pragma once

#include <chrono>

namespace foz {

using steady_time = std::chrono::steady_clock::time_point;
using wall_time = std::chrono::system_clock::time_point;

class clock {
public:
    virtual ~clock() = default;
    virtual steady_time now() const { return std::chrono::steady_clock::now(); }
    virtual wall_time wall_now() const { return std::chrono::system_clock::now(); }
};

inline std::chrono::milliseconds unix_ms(wall_time t) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch());
}

}  // namespace foz
