// Records in a SQLite database: a write-ahead log with checksums, one fsync for a commit; memory bounded by its cache.
#pragma once

#include "broker/store/kv.hpp"

#include <memory>
#include <string>

namespace foz::broker {

// Its file in the store's folder.
inline std::string sqlite_file(const std::string& folder) {
    return folder + "/foz.db";
}
// In an existing folder. Throws kv_failure.
std::unique_ptr<kv> open_sqlite(const std::string& folder);

}  // namespace foz::broker
