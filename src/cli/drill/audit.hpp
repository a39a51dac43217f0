// The audit of a drill: what was promised, held against what happened. Pure.
#pragma once

#include "cli/drill/history.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace foz::cli::drill {

// What a drill may do to its clients without breaking a promise.
struct audit_rules {
    // Errors that clients of a durable channel may be told.
    std::set<std::string> refusals;
    // What dies takes the state of volatile channels with it: requests may fail and messages may be missed there.
    bool volatile_loss = false;
    // A gap may be told to clients of durable channels; what it covers counts as missed, not as lost.
    bool gaps = false;
};

// Of many listeners and faults, in no order.
struct spans {
    std::vector<milliseconds> all;

    milliseconds median() const;
    milliseconds max() const;
};

struct findings {
    std::uint64_t written = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t refused = 0;
    std::uint64_t unknown = 0;
    std::uint64_t explained = 0;   // of the unknown ones: in flight when the socket of a stock client ended
    std::uint64_t lost = 0;        // acknowledged on a durable channel, and not delivered
    std::uint64_t missed = 0;      // not delivered where that is allowed
    std::uint64_t repeated = 0;    // delivered to the application once more
    std::uint64_t again = 0;       // repeats that the plugin has kept from the application
    std::uint64_t disordered = 0;  // deliveries
    std::uint64_t gaps = 0;
    std::uint64_t delivered = 0;
    std::uint64_t runs = 0;
    std::uint64_t reruns = 0;
    std::uint64_t faults = 0;
    // Of each listener after each fault, the longest time without a delivery; of an outage also what of it lay behind
    // the outage's end. Of the time before the first fault, for comparison.
    spans silences, recoveries, undisturbed;
    std::map<std::string, std::uint64_t> refusals;  // by code
    std::vector<std::string> violations;            // sentences; empty: every promise was kept

    bool good() const { return violations.empty(); }
};

findings audit(const history& all, const audit_rules& rules);

}  // namespace foz::cli::drill
