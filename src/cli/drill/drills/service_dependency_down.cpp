#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// What the service needs, its database say, is away for a while: every handler fails. Nothing becomes a dead letter,
// and all are answered once it is back.
findings service_dependency_down(stage& on) {
    on.open({.workers = 2});
    for (unsigned i = on.faults(3, 1); i > 0; --i) {
        on.pause_between_faults();
        on.system().set_dependency(false);
        on.fault("the service's database is down");
        on.pause(on.either(milliseconds(6'000), milliseconds(1'500)));
        on.system().set_dependency(true);
        on.outage_over("it is back");
        on.pause_between_faults();
    }
    return on.finish({});
}

}  // namespace foz::cli::drill
