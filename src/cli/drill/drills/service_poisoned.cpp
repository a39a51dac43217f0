#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// A message kills each worker that takes it. Somebody starts the workers again, as an orchestrator does, until the
// broker gives the message up: its sender is told, and its neighbours are handled.
findings service_poisoned(stage& on) {
    plan what{.workers = 2};
    what.channels[0].toml = "redeliver = 3";
    on.open(what);
    for (unsigned i = on.faults(3, 1); i > 0; --i) {
        on.pause_between_faults();
        on.all_clients().write_poison(on.choose(on.all_clients().size()), "dead_lettered");
        on.fault("a message that kills its worker");
        unsigned deaths = 0;
        const instant end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        // The first delivery and three returns.
        while (deaths < 4 && std::chrono::steady_clock::now() < end) {
            for (std::size_t k = 0; k < on.system().workers(); ++k) {
                if (on.system().worker(k).running()) continue;
                ++deaths;
                on.note("worker " + std::to_string(k + 1) + " has died (" + std::to_string(deaths) + ")");
                on.system().launch_worker(k);  // it may die again before it is ready
            }
            on.pause(milliseconds(20));
        }
    }
    on.pause_between_faults();
    return on.finish({});
}

}  // namespace foz::cli::drill
