// What the broker refuses again and again while the rest works. No I/O.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

struct sick_part {
    std::string link;   // the connection to the broker: "streams", "publish 1"
    std::string queue;  // empty: what is published
    std::string reason;
    steady_time since{};
};

// Few at a time: as many as there are channels to the broker, at most. Lives on shard 0.
class sick_list {
public:
    // True when it is news.
    bool add(sick_part one) {
        const auto known = find(one.link, one.queue);
        if (known == all_.end()) {
            all_.push_back(std::move(one));
            return true;
        }
        known->reason = std::move(one.reason);
        return false;
    }
    // Since when it was; nothing when nobody was told.
    std::optional<steady_time> remove(std::string_view link, std::string_view queue) {
        const auto known = find(link, queue);
        if (known == all_.end()) return std::nullopt;
        const steady_time since = known->since;
        all_.erase(known);
        return since;
    }
    const std::vector<sick_part>& all() const noexcept { return all_; }

private:
    std::vector<sick_part>::iterator find(std::string_view link, std::string_view queue) {
        return std::ranges::find_if(all_, [&](const sick_part& one) { return one.link == link && one.queue == queue; });
    }

    std::vector<sick_part> all_;
};

}  // namespace foz::aggregator
