// Records in RocksDB: a log-structured merge tree, one write-ahead log.
#pragma once

#include "broker/store/kv.hpp"

#include <memory>
#include <string>

namespace foz::broker {

// In an existing folder. Throws kv_failure.
std::unique_ptr<kv> open_rocksdb(const std::string& folder);

}  // namespace foz::broker
