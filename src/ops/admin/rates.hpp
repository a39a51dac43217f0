// Counters over time: how fast they grow.
#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace foz::ops {

// Told all counters again and again; what was not told between two begin()s is forgotten.
class rates {
public:
    void begin(steady_time now) {
        seconds_ = told_ ? std::chrono::duration<double>(now - begun_).count() : 0;
        begun_ = now;
        told_ = true;
        before_ = std::move(current_);
        current_.clear();
    }
    void count(std::string name, std::uint64_t total) { current_.insert_or_assign(std::move(name), total); }

    // For each second since the count before; 0 until there are two.
    double of(std::string_view name) const {
        const auto now = current_.find(name);
        const auto then = before_.find(name);
        if (now == current_.end() || then == before_.end() || seconds_ <= 0 || now->second < then->second) return 0;
        return static_cast<double>(now->second - then->second) / seconds_;
    }

private:
    using counts = std::map<std::string, std::uint64_t, std::less<>>;

    counts before_;
    counts current_;
    steady_time begun_{};
    double seconds_ = 0;
    bool told_ = false;
};

}  // namespace foz::ops
