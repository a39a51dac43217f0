#include "cli/drill/catalogue.hpp"

#include <stdexcept>

namespace foz::cli::drill {

// All workers go while nobody asks anything, as they do at a deployment by night; the first question after that waits
// in the queue until one of them is back.
findings service_restarts_idle(stage& on) {
    on.open({.workers = 1});
    for (unsigned i = on.faults(3, 1); i > 0; --i) {
        on.pause_between_faults();
        on.all_clients().set_writing(false);
        while (!on.all_clients().look().settled) on.pause(milliseconds(20));
        const auto code = on.system().worker(0).stop(std::chrono::seconds(10));
        on.fault("SIGTERM of the idle worker");
        if (code != 0) throw std::runtime_error("the worker did not end in good order");
        on.pause_between_faults();
        on.all_clients().set_writing(true);
        on.note("clients ask again");
        on.pause(on.between(milliseconds(200), milliseconds(800)));
        on.system().launch_worker(0);
        on.system().await_worker(0);
        on.outage_over("the worker is back");
    }
    on.pause_between_faults();
    return on.finish({});
}

}  // namespace foz::cli::drill
