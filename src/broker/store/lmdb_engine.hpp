// The engine on LMDB: one file, B+ trees, copy on write; what was committed survives whatever stops the process.
#pragma once

#include "broker/store/engine.hpp"

#include <memory>
#include <string>

namespace foz::broker {

// In an existing folder. Throws std::runtime_error with a sentence that names the folder.
std::unique_ptr<engine> open_lmdb(const std::string& folder);

}  // namespace foz::broker
