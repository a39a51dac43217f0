#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// Every node of the broker is killed at once, stays away, and comes back with its data. Clients wait or are told; what
// was confirmed is there.
findings cluster_restarts(stage& on) {
    on.open({.aggregators = 2});
    broker_nodes& broker = on.system().broker();
    // The registration of a cluster's first stream reaches the disk a little later than its declaration succeeds.
    if (broker.size() > 1) on.pause(std::chrono::seconds(3));
    for (unsigned i = on.faults(2, 1); i > 0; --i) {
        on.pause_between_faults();
        for (std::size_t k = 0; k < broker.size(); ++k) broker.at(k).kill();
        on.fault(broker.size() > 1 ? "SIGKILL of all nodes" : "SIGKILL of the broker");
        on.pause(on.either(on.between(milliseconds(2'000), milliseconds(8'000)), milliseconds(1'500)));
        for (std::size_t k = 0; k < broker.size(); ++k) broker.launch(k);
        for (std::size_t k = 0; k < broker.size(); ++k) broker.await_ready(k);
        on.outage_over("the broker is back");
        on.pause(on.either(milliseconds(8'000), milliseconds(1'000)));
    }
    // Whoever waited for longer than its time-out is told so.
    return on.finish({.refusals = {"timeout", "no_service"}, .volatile_loss = true}, std::chrono::seconds(90));
}

}  // namespace foz::cli::drill
