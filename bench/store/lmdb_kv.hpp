// Records in LMDB: one file, B+ trees, copy on write, read through a memory map.
#pragma once

#include "broker/store/kv.hpp"

#include <memory>
#include <string>

namespace foz::broker {

// In an existing folder. Throws kv_failure.
std::unique_ptr<kv> open_lmdb(const std::string& folder);

}  // namespace foz::broker
