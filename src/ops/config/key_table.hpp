// The rows of the table: every key with its type, range and place.
#pragma once

#include "ops/config/keys.hpp"

#include <vector>

namespace foz::ops {

// In the order in which layers of one kind are read; without the variables' names.
std::vector<key> key_table();

}  // namespace foz::ops
