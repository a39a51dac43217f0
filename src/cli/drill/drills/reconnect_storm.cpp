#include "cli/drill/catalogue.hpp"

#include <stdexcept>

namespace foz::cli::drill {

// The only aggregator is killed and everybody comes back at once, many times more clients than in other drills: all of
// them listen again within seconds.
findings reconnect_storm(stage& on) {
    plan what;
    what.clients = on.brief() ? 40 : 150;
    // A message to each of so many is work enough.
    what.channels.resize(1);
    on.open(what);
    for (unsigned i = on.faults(3, 1); i > 0; --i) {
        on.pause_between_faults();
        on.system().aggregator(0).kill();
        on.fault("SIGKILL of the only aggregator");
        on.pause(on.between(milliseconds(200), milliseconds(800)));
        on.system().launch_aggregator(0);
        on.system().await_aggregator(0);
        on.outage_over("it is back");
        const instant back = std::chrono::steady_clock::now();
        if (!on.await_listening(std::chrono::seconds(30))) throw std::runtime_error("not everybody came back");
        on.note(
            "everybody is back " +
            std::to_string(std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - back).count()) +
            " ms after it was ready");
    }
    on.pause_between_faults();
    return on.finish({.refusals = {}, .volatile_loss = true}, std::chrono::seconds(60));
}

}  // namespace foz::cli::drill
