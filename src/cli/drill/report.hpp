// What a drill has found, for people and for programs. Pure.
#pragma once

#include "cli/drill/audit.hpp"

#include <string>
#include <vector>

namespace foz::cli::drill {

struct result {
    enum class state : std::uint8_t { passed, failed, skipped };

    std::string name;
    std::string broker;
    std::string wanted;  // of its silences
    state how = state::passed;
    std::string why;  // skipped: what it needs; failed without an audit: what went wrong
    findings found;
    std::vector<std::string> faults;  // what was done, and when
    std::uint64_t seed = 0;
    milliseconds took{0};
};

// Some lines.
std::string audit_text(const result& one);
// A JSON array.
std::string audit_json(const std::vector<result>& all);

}  // namespace foz::cli::drill
