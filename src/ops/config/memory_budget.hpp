// One budget of memory for the process, and the limits that are shares of it.
#pragma once

#include "ops/config/configuration.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace foz::ops {

// What the budget is divided by.
struct budget_terms {
    std::uint64_t memory = 0;  // that there is for this process; 0: it is not known
    unsigned loops = 1;
};

// limits.memory_bytes becomes what it stands for, and each limit that is a share of it, and was not said, its share: so
// that all of them together stay below the budget, whatever the number of channels and event loops. `said`: whether a
// key has a value that was said, by its path. What comes back is a warning when the limits that were said add up to
// more, or empty.
std::string divide_memory(configuration& all, const budget_terms& terms,
                          const std::function<bool(const std::string& path)>& said);

// All shares as they are now, added up.
std::uint64_t memory_committed(const configuration& all, unsigned loops);

// The key's default is a share of the budget.
bool is_share_of_memory(const std::string& path);

}  // namespace foz::ops
