// HTTP-date (RFC 9110 §5.6.7). Pure.
#pragma once

#include "base/clock.hpp"

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace foz::ws {

// "Sun, 06 Nov 1994 08:49:37 GMT", in seconds since 1970.
std::string http_date(std::time_t at);
inline std::string http_date(wall_time at) {
    return http_date(std::chrono::system_clock::to_time_t(at));
}

// Each of the three forms that a recipient has to accept; nothing when it is none of them.
std::optional<std::time_t> parse_http_date(std::string_view text);

}  // namespace foz::ws
