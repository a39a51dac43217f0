#include "cli/drill/catalogue.hpp"

#include <stdexcept>

namespace foz::cli::drill {

// A deployment: aggregators and workers are sent SIGTERM one after the other and started anew. They drain: nobody waits
// for an answer in vain. With another build everything but the broker begins as that one, becomes this one in the first
// round, the other one again in the second, and so on.
findings rolling_restart(stage& on) {
    plan what{.aggregators = 2, .workers = 2};
    what.toml = "[client]\ndrain_spread_ms = 500\n";
    on.open(what);
    const bool two_builds = !on.options().other.empty();
    build next = build::own;
    for (unsigned round = two_builds ? on.faults(2, 2) : on.faults(3, 1); round > 0; --round) {
        on.system().set_build(next);
        if (two_builds) {
            on.note(next == build::own ? "round: from the other build to this one" : "round: back to the other build");
            next = next == build::own ? build::other : build::own;
        }
        for (std::size_t k = 0; k < on.system().aggregators(); ++k) {
            on.pause_between_faults();
            on.fault("SIGTERM of aggregator " + std::to_string(k + 1));
            if (on.system().aggregator(k).stop(std::chrono::seconds(40)) != 0)
                throw std::runtime_error("the aggregator did not end in good order");
            on.system().launch_aggregator(k);
            on.system().await_aggregator(k);
            on.note("aggregator " + std::to_string(k + 1) + " is back");
        }
        for (std::size_t k = 0; k < on.system().workers(); ++k) {
            on.pause_between_faults();
            on.fault("SIGTERM of worker " + std::to_string(k + 1));
            if (on.system().worker(k).stop(std::chrono::seconds(40)) != 0)
                throw std::runtime_error("the worker did not end in good order");
            on.system().launch_worker(k);
            on.system().await_worker(k);
            on.note("worker " + std::to_string(k + 1) + " is back");
        }
    }
    on.pause_between_faults();
    return on.finish({.refusals = {}, .volatile_loss = true});
}

}  // namespace foz::cli::drill
