// The limit of open files, which is the limit of connections.
#pragma once

#include <cstdint>

namespace foz::net {

struct descriptor_limits {
    std::uint64_t before = 0;  // the soft limit at start
    std::uint64_t now = 0;
};

// Raises the process' soft limit to the hard one.
descriptor_limits raise_descriptor_limit();

// How many descriptors clients may take in a process with this limit: the rest is kept for the broker's connections,
// the store, the admin port and refusals. A new descriptor is the lowest one that is free, so that a client whose
// descriptor is not below this number came when only the reserve was left.
std::uint64_t descriptors_for_clients(std::uint64_t limit, unsigned shards);

}  // namespace foz::net
