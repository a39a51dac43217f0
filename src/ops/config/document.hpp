// The configuration in words: what there is, and what is in force.
#pragma once

#include "ops/config/configuration.hpp"

#include <string>

namespace foz::ops {

// docs/configuration.md.
std::string describe_keys();

// The effective values as a TOML file that says of each where it comes from; passwords are masked.
std::string show(const configuration& all, const configuration_reader& from);

}  // namespace foz::ops
