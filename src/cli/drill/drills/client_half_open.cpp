#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// A client changes its network: the old socket stays open with nobody behind it, and the client comes back with another
// one. What is meant for it comes to the new socket, not to the dead one.
findings client_half_open(stage& on) {
    on.open({});
    for (unsigned i = on.faults(16, 3); i > 0; --i) {
        on.pause(on.between(milliseconds(300), milliseconds(900)));
        const std::size_t victim = on.choose(on.all_clients().size());
        on.all_clients().abandon(victim);
        on.fault("client " + std::to_string(victim + 1) + " leaves a dead socket behind");
    }
    on.pause_between_faults();
    return on.finish({.refusals = {}, .volatile_loss = true});
}

}  // namespace foz::cli::drill
