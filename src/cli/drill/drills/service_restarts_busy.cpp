#include "cli/drill/catalogue.hpp"

#include <stdexcept>

namespace foz::cli::drill {

// The only worker goes down with work in hand, now in good order (it finishes), now killed (its work is returned), and
// comes back: nobody is told, everybody has an answer.
findings service_restarts_busy(stage& on) {
    plan what{.workers = 1};
    what.worker_flags = {"--hold-ms", "20", "--concurrency", "8"};
    on.open(what);
    for (unsigned i = on.faults(10, 2); i > 0; --i) {
        on.pause_between_faults();
        if (i % 2 == 0) {
            on.system().worker(0).kill();
            on.fault("SIGKILL of the busy worker");
        } else {
            on.system().worker(0).signal(SIGTERM);
            on.fault("SIGTERM of the busy worker");
            if (on.system().worker(0).stop(std::chrono::seconds(20)) != 0)
                throw std::runtime_error("the worker did not end in good order");
        }
        on.pause(on.between(milliseconds(300), milliseconds(1'000)));
        on.system().launch_worker(0);
        on.system().await_worker(0);
        on.outage_over("the worker is back");
    }
    on.pause_between_faults();
    return on.finish({});
}

}  // namespace foz::cli::drill
