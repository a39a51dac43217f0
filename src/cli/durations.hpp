// Times as flags say them.
#pragma once

#include <chrono>
#include <string>

namespace foz::cli {

// 500ms, 10s, 5m, 2h, 1d. Throws wrong_usage, which names the flag.
std::chrono::milliseconds parse_time(const std::string& flag, const std::string& text);

}  // namespace foz::cli
