// A drill as a picture: a row for each client and channel with its deliveries, faults as vertical lines. Pure.
#pragma once

#include "cli/drill/report.hpp"

#include <string>

namespace foz::cli::drill {

// An SVG document.
std::string plot_svg(const history& all, const result& of);

}  // namespace foz::cli::drill
