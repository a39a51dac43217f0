#include "ws/conn/http_date.hpp"

#include <array>
#include <cstdio>

namespace foz::ws {
namespace {

constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

std::string http_date(std::time_t at) {
    std::tm parts{};
    if (!::gmtime_r(&at, &parts)) return {};
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  days[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                  months[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                  parts.tm_sec);
    return text.data();
}

// The process has the "C" locale: strptime() knows the English names.
std::optional<std::time_t> parse_http_date(std::string_view text) {
    const std::string copy(text);
    for (const char* form : {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm parts{};
        const char* const end = ::strptime(copy.c_str(), form, &parts);
        if (end && *end == '\0') return ::timegm(&parts);
    }
    return std::nullopt;
}

}  // namespace foz::ws
