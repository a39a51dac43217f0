// What befalls a run.
#pragma once

#include "faults/coverage.hpp"

namespace foz::sim {

class world;

// False: there was nothing to strike.
bool strike(world& of, fault which);

}  // namespace foz::sim
