// All drills. Each has a file of its own in drills/.
#pragma once

#include "cli/drill/stage.hpp"

#include <span>

namespace foz::cli::drill {

struct drill {
    const char* name;
    const char* about;  // one line: what happens, and what is to hold
    const char* needs;  // beside the program itself; empty: nothing
    findings (*run)(stage& on);
    // The longest silence that is wanted, on the embedded broker and on a cluster; empty: nothing is said.
    const char* wanted = "";
    const char* wanted_on_cluster = wanted;
};

// In the order in which `all` runs them.
std::span<const drill> catalogue();

findings service_dies(stage& on);
findings service_restarts_idle(stage& on);
findings service_restarts_busy(stage& on);
findings service_poisoned(stage& on);
findings service_dependency_down(stage& on);
findings broker_node_dies(stage& on);
findings broker_node_silent(stage& on);
findings broker_partition(stage& on);
findings cluster_restarts(stage& on);
findings aggregator_dies(stage& on);
findings aggregator_stopped(stage& on);
findings rolling_restart(stage& on);
findings client_drops(stage& on);
findings client_half_open(stage& on);
findings slow_client(stage& on);
findings reconnect_storm(stage& on);
findings disk_full(stage& on);

}  // namespace foz::cli::drill
