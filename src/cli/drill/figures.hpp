// The figures of many drills as a page of Markdown: what was kept, and how long clients heard nothing. Pure.
#pragma once

#include "cli/drill/report.hpp"

#include <string>
#include <vector>

namespace foz::cli::drill {

// A row for each drill on each broker, over all its runs; then what was broken. `conditions`: a sentence or more about
// the machine and the command.
std::string figures_text(const std::vector<result>& all, const std::string& conditions);

}  // namespace foz::cli::drill
