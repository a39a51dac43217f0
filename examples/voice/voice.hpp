// The business logic of the voice service: signalling of calls, no media.
#pragma once

namespace foz::service {
class worker;
}

namespace voice {

// Adds the handlers of channel "voice". The calls are in memory: the channel has one active consumer. One that takes
// over knows no calls; those that are under way go on between the clients themselves.
void add_handlers(foz::service::worker& worker);

}  // namespace voice
