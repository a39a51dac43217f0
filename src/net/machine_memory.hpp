// How much memory there is for this process, and how much it has.
#pragma once

#include <cstdint>
#include <string>

namespace foz::net {

// Octets: the least of the machine's memory and the limits of the control groups that the process is in, all ancestors
// included (cgroups v2: memory.max; v1: memory.limit_in_bytes). 0: nothing of it could be read. `root`: where /proc and
// /sys are, for tests.
std::uint64_t memory_for_us(const std::string& root = "");

// Octets of this process that are resident; 0: it could not be read.
std::uint64_t resident_bytes();

}  // namespace foz::net
