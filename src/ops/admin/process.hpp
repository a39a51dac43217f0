// What Prometheus' own libraries tell of every process.
#pragma once

#include "ops/admin/exposition.hpp"

#include <chrono>

namespace foz::ops {

void expose_process(exposition& to);
double resident_bytes();
double processor_seconds();
// Since it was first asked.
std::chrono::seconds uptime();

}  // namespace foz::ops
