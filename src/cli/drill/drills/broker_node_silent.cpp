#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {

// A broker node stops to speak without a word: it hangs (SIGSTOP), or, where drills have hosts of their own, its
// packets vanish. Its connections stay open, and nobody is told.
findings broker_node_silent(stage& on) {
    on.open({.aggregators = 2});
    broker_nodes& broker = on.system().broker();
    for (unsigned i = on.faults(2, 1); i > 0; --i) {
        on.pause_between_faults();
        const std::size_t victim = on.choose(broker.size());
        const bool cut = broker.can_cut();
        cut ? broker.cut(victim) : broker.at(victim).signal(SIGSTOP);
        on.fault(broker.name_of(victim) + (cut ? ": its packets vanish" : " hangs (SIGSTOP)"));
        // Long enough for the others to take over, where there are others.
        on.pause(broker.size() > 1 ? milliseconds(12'000) : on.either(milliseconds(8'000), milliseconds(2'500)));
        cut ? broker.mend(victim) : broker.at(victim).signal(SIGCONT);
        const std::string back = broker.name_of(victim) + " speaks again";
        broker.size() > 1 ? on.note(back) : on.outage_over(back);
        on.pause(on.either(milliseconds(15'000), milliseconds(500)));
    }
    return on.finish({.refusals = {}, .volatile_loss = true}, std::chrono::seconds(60));
}

}  // namespace foz::cli::drill
