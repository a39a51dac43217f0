// How often something may happen: so many times a second, and what was saved up while it did not happen.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace foz {

struct token_rate {
    std::uint32_t per_second = 0;       // 0: there is no limit
    std::chrono::milliseconds burst{};  // tokens are saved up for so long
};

// One instant for each bucket, and no timer: the virtual scheduling algorithm (ITU-T I.371 Annex A), which knows a
// bucket by the time at which it will be full again. A bucket that was never used is full.
class token_bucket {
public:
    // Takes so many in any case: when there are fewer, the rest is owed.
    void take(std::uint64_t tokens, const token_rate& rate, steady_time now) noexcept {
        if (rate.per_second > 0) full_at_ = std::max(full_at_, now) + time_for(tokens, rate);
    }
    // How long until nothing is owed and so many are there, or as many as the bucket holds; 0: they are.
    std::chrono::nanoseconds wait_for(std::uint64_t tokens, const token_rate& rate, steady_time now) const noexcept {
        if (rate.per_second == 0) return {};
        const std::chrono::nanoseconds holds = rate.burst;
        const auto wanted = std::max(full_at_, now) + std::min(time_for(tokens, rate), holds) - holds;
        return std::max(std::chrono::nanoseconds(wanted - now), std::chrono::nanoseconds(0));
    }
    bool full(steady_time now) const noexcept { return full_at_ <= now; }
    steady_time full_at() const noexcept { return full_at_; }

private:
    static std::chrono::nanoseconds time_for(std::uint64_t tokens, const token_rate& rate) noexcept {
        constexpr std::uint64_t second = 1'000'000'000;
        constexpr std::uint64_t tokens_max = UINT64_MAX / second / 2;
        return std::chrono::nanoseconds(std::min(tokens, tokens_max) * second / rate.per_second);
    }

    steady_time full_at_{};
};

}  // namespace foz
