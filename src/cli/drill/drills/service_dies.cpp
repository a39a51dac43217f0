#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// A worker is killed with work in hand: the other one gets it, and each client gets its one answer.
findings service_dies(stage& on) {
    plan what{.workers = 2};
    what.worker_flags = {"--hold-ms", "20", "--concurrency", "8"};
    on.open(what);
    for (unsigned i = on.faults(10, 2); i > 0; --i) {
        on.pause_between_faults();
        const std::size_t victim = on.choose(on.system().workers());
        on.system().worker(victim).kill();
        on.fault("SIGKILL of worker " + std::to_string(victim + 1));
        on.pause_between_faults();
        on.system().launch_worker(victim);
        on.system().await_worker(victim);
        on.note("worker " + std::to_string(victim + 1) + " is back");
    }
    return on.finish({});
}

}  // namespace foz::cli::drill
