// The rows of the table: every key with its type, range and place.
#pragma once

#include "ops/config/keys.hpp"

#include <vector>

namespace foz::ops {

// In the order in which layers of one kind are read; without the variables' names.
std::vector<key> key_table();

namespace table {

std::vector<key> channel_keys();
std::vector<key> issuer_keys();
std::vector<key> connect_keys();
std::vector<key> admin_keys();  // and those of its users

}  // namespace table

}  // namespace foz::ops
