#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// Clients' sockets are cut, and they come back after a moment, or after more messages than an aggregator keeps in
// memory for them (the ring is made small). On durable channels everything is there in order when they return; on the
// volatile one they miss what came in between.
findings client_drops(stage& on) {
    plan what;
    what.toml = "[limits]\nrecent_bytes = 4096\n";
    on.open(what);
    for (unsigned i = on.faults(20, 3); i > 0; --i) {
        on.pause(on.between(milliseconds(200), milliseconds(700)));
        const std::size_t victim = on.choose(on.all_clients().size());
        const bool long_away = i % 3 == 0;
        const milliseconds away = long_away ? on.either(milliseconds(5'000), milliseconds(1'500))
                                            : on.between(milliseconds(0), milliseconds(400));
        on.all_clients().drop(victim, away);
        on.fault("client " + std::to_string(victim + 1) + " is cut for " + std::to_string(away.count()) + " ms");
        if (long_away) on.pause(away);
    }
    on.pause_between_faults();
    return on.finish({.refusals = {}, .volatile_loss = true});
}

}  // namespace foz::cli::drill
