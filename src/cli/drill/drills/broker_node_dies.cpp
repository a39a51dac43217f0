#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// A node of the cluster is killed and comes back; the embedded broker, which is alone, is away in between.
findings broker_node_dies(stage& on) {
    on.open({.aggregators = 2});
    broker_nodes& broker = on.system().broker();
    for (unsigned i = on.faults(3, 2); i > 0; --i) {
        on.pause_between_faults();
        const std::size_t victim = on.choose(broker.size());
        broker.at(victim).kill();
        on.fault("SIGKILL of " + broker.name_of(victim));
        on.pause_between_faults();
        broker.launch(victim);
        broker.await_ready(victim);
        const std::string back = broker.name_of(victim) + " is back";
        broker.size() > 1 ? on.note(back) : on.outage_over(back);
        // The next one dies when this one counts again.
        if (broker.size() > 1) on.pause(std::chrono::seconds(12));
    }
    return on.finish({.refusals = {}, .volatile_loss = true});
}

}  // namespace foz::cli::drill
