#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// A client reads nothing for a while. It does not slow the others down; it is disconnected when too much waits for it,
// and resumes without a gap.
findings slow_client(stage& on) {
    plan what;
    what.toml = "[limits]\nqueue_bytes = 16384\nqueue_patience_ms = 1000\n";
    on.open(what);
    for (unsigned i = on.faults(4, 1); i > 0; --i) {
        on.pause_between_faults();
        const std::size_t victim = on.choose(on.all_clients().size());
        const milliseconds span = on.either(milliseconds(8'000), milliseconds(3'000));
        on.all_clients().sleep(victim, span);
        on.fault("client " + std::to_string(victim + 1) + " reads nothing");
        on.pause(span);
    }
    on.pause_between_faults();
    return on.finish({.refusals = {"timeout"}, .volatile_loss = true});
}

}  // namespace foz::cli::drill
