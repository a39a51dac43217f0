#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// An aggregator stands still (SIGSTOP: a suspended laptop, a machine that swaps) and goes on. Its clients that stayed
// are not dropped for a silence that was its own; nothing is lost.
findings aggregator_stopped(stage& on) {
    plan what{.aggregators = 2};
    what.toml = "[client]\nping_interval_ms = 5000\n";
    on.open(what);
    for (unsigned i = on.faults(1, 1); i > 0; --i) {
        on.pause_between_faults();
        const std::size_t victim = on.choose(on.system().aggregators());
        on.system().aggregator(victim).signal(SIGSTOP);
        on.fault("SIGSTOP of aggregator " + std::to_string(victim + 1));
        on.pause(on.either(milliseconds(40'000), milliseconds(4'000)));
        on.system().aggregator(victim).signal(SIGCONT);
        on.note("aggregator " + std::to_string(victim + 1) + " goes on");
        on.pause(on.either(milliseconds(8'000), milliseconds(1'000)));
    }
    // A request's time may have run out in the meantime.
    return on.finish({.refusals = {"timeout"}, .volatile_loss = true}, std::chrono::seconds(60));
}

}  // namespace foz::cli::drill
