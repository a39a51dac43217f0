// Looks through the write-ahead log that a killed process has left, before SQLite does: SQLite takes its first damaged
// frame for the end and says nothing.
#pragma once

#include <string>

namespace foz::broker {

// One line, or nothing: then all that was committed will be found. `database`: its file.
std::string check_wal(const std::string& database);

}  // namespace foz::broker
