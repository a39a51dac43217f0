#pragma once

#include "broker/store/log_engine.hpp"

#include <memory>
#include <string>

namespace foz::broker {

// append, lmdb, rocksdb or sqlite.
std::unique_ptr<engine> open_engine(const std::string& name, const std::string& folder, const chunk_limits& limits);

}  // namespace foz::broker
