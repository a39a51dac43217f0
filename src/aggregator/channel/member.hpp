// How the rooms name a session without holding it. No I/O.
#pragma once

#include <compare>
#include <cstdint>

namespace foz::aggregator {

// A place in the shard's table of sessions. Slots are small integers that are used again, each time with a new
// generation: a member that has gone never means its successor.
struct member {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    friend auto operator<=>(const member&, const member&) = default;
};

}  // namespace foz::aggregator
