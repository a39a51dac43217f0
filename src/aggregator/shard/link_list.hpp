// The connections to the broker that are down, since when and why. No I/O.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::aggregator {

// Has as many entries as there are connections, at most. Lives on shard 0.
class link_list {
public:
    struct lost_link {
        std::string name;  // "streams", "publish 1"
        std::string reason;
        steady_time since{};
    };

    // It counts from the first time; the last reason is the one that is told.
    void lost(std::string name, std::string reason, steady_time now) {
        const auto known = find(name);
        if (known == all_.end()) return all_.push_back({std::move(name), std::move(reason), now});
        known->reason = std::move(reason);
    }
    void connected(std::string_view name) {
        if (const auto known = find(name); known != all_.end()) all_.erase(known);
    }
    // The one that was lost first, when it has been away for so long; else null.
    const lost_link* away_for(std::chrono::milliseconds span, steady_time now) const {
        return all_.empty() || now - all_.front().since < span ? nullptr : &all_.front();
    }
    bool empty() const noexcept { return all_.empty(); }

private:
    std::vector<lost_link>::iterator find(std::string_view name) {
        return std::ranges::find_if(all_, [&](const lost_link& one) { return one.name == name; });
    }

    std::vector<lost_link> all_;  // in the order in which they were lost
};

}  // namespace foz::aggregator
