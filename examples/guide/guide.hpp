// The handlers of the guide.
#pragma once

#include "service/worker.hpp"

#include <chrono>

namespace guide {

void add_handlers(foz::service::worker& worker, std::chrono::milliseconds pause);

}  // namespace guide
