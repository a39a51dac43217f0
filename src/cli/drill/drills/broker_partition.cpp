#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// One node of the cluster is cut off from the others and from everybody else, for longer than the nodes believe in each
// other: it pauses, the other two go on, and it comes back.
findings broker_partition(stage& on) {
    if (!on.options().cluster) throw skipped("--broker cluster, and root for hosts of its own");
    on.open({.aggregators = 2});
    broker_nodes& broker = on.system().broker();
    if (!broker.can_cut()) throw skipped("root, for hosts of its own");
    for (unsigned i = on.faults(2, 1); i > 0; --i) {
        on.pause_between_faults();
        const std::size_t victim = on.choose(broker.size());
        broker.cut(victim);
        on.fault(broker.name_of(victim) + " is cut off");
        // net_ticktime is 8 s: after 8 to 10 s the nodes give each other up.
        on.pause(std::chrono::seconds(20));
        broker.mend(victim);
        on.note(broker.name_of(victim) + " is reachable again");
        on.pause(std::chrono::seconds(25));
    }
    return on.finish({.refusals = {}, .volatile_loss = true}, std::chrono::seconds(60));
}

}  // namespace foz::cli::drill
