#include "cli/durations.hpp"

#include "cli/commands.hpp"

#include <charconv>
#include <cstdint>
#include <string_view>

namespace foz::cli {

std::chrono::milliseconds parse_time(const std::string& flag, const std::string& text) {
    std::int64_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const bool known = unit == "ms" || unit == "s" || unit == "m" || unit == "h" || unit == "d";
    if (failure != std::errc() || count < 0 || count > 1'000'000'000 || !known)
        throw wrong_usage(flag + ": a time like 500ms, 10s, 5m, 2h or 1d is expected, not " + text);
    if (unit == "ms") return std::chrono::milliseconds(count);
    if (unit == "s") return std::chrono::seconds(count);
    if (unit == "m") return std::chrono::minutes(count);
    if (unit == "h") return std::chrono::hours(count);
    return std::chrono::hours(24 * count);
}

}  // namespace foz::cli
