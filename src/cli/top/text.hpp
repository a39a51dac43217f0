// Text for a terminal: names that may hold anything, numbers that are read at a glance, columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace foz::cli::top {

// Columns that a terminal uses for UTF-8 that printable() has made.
std::size_t columns(std::string_view text);

// Anything, as UTF-8 that only prints: C0 controls become their pictures (U+2400 …); what is no UTF-8, C1 controls,
// marks that combine and what changes the direction of writing become U+FFFD.
std::string printable(std::string_view octets);

// Of printable text, exactly so many columns: filled with spaces, or cut with "…" as the last one.
std::string fit_left(std::string_view text, std::size_t width);   // text at the left
std::string fit_right(std::string_view text, std::size_t width);  // text at the right; cut at the end as well

// Five columns at most: 0, 999, 9,999, 12.3k, 123k, 1.23M … Less than nothing and no numbers are "-".
std::string human(double number);
// As human(), but what is above 0 does not look like 0: "<1" below one half.
std::string human_rate(double per_second);
// Octets with seven columns at most: 999 B, 1.23 kB (1,230 octets), 12.3 MB.
std::string human_bytes(double octets);
// The two largest units: 12s, 3m 04s, 2h 05m, 3d 04h.
std::string human_time(double seconds);

}  // namespace foz::cli::top
