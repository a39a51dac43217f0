// Which counters are shown under which names.
#pragma once

#include "aggregator/snapshot.hpp"

#include <string>

namespace foz::ops {

// The text of /metrics.
std::string expose(const aggregator::snapshot& now, const std::string& version);

}  // namespace foz::ops
