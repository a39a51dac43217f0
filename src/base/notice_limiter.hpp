// The same notice is said once, then as a count.
#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace foz {

// For notices of one kind, of which thousands may come in a second. Lives on one thread.
class notice_limiter {
public:
    explicit notice_limiter(std::chrono::milliseconds interval = std::chrono::seconds(10)) : interval_(interval) {}

    // Something happened. Nothing: keep it to yourself; otherwise it is to be said, with how many have been kept back
    // since the last time.
    std::optional<std::uint64_t> count(steady_time now) {
        if (said_ && now - *said_ < interval_) {
            ++kept_back_;
            return std::nullopt;
        }
        said_ = now;
        return std::exchange(kept_back_, 0);
    }
    // Those that were kept back, when it is time to say so although nothing more happens.
    std::optional<std::uint64_t> overdue(steady_time now) {
        if (kept_back_ == 0 || now - *said_ < interval_) return std::nullopt;
        said_ = now;
        return std::exchange(kept_back_, 0);
    }
    // Nothing has happened for long enough that it could be forgotten.
    bool quiet(steady_time now) const { return kept_back_ == 0 && said_ && now - *said_ >= interval_; }

private:
    std::chrono::milliseconds interval_;
    std::optional<steady_time> said_;
    std::uint64_t kept_back_ = 0;
};

}  // namespace foz
