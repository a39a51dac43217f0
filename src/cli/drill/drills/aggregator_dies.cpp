#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// One of two aggregators is killed: its clients go to the other one, resume, and get their pending answers there.
findings aggregator_dies(stage& on) {
    on.open({.aggregators = 2});
    for (unsigned i = on.faults(8, 2); i > 0; --i) {
        on.pause_between_faults();
        const std::size_t victim = on.choose(on.system().aggregators());
        on.system().aggregator(victim).kill();
        on.fault("SIGKILL of aggregator " + std::to_string(victim + 1));
        on.pause_between_faults();
        on.system().launch_aggregator(victim);
        on.system().await_aggregator(victim);
        on.note("aggregator " + std::to_string(victim + 1) + " is back");
    }
    return on.finish({.refusals = {}, .volatile_loss = true});
}

}  // namespace foz::cli::drill
