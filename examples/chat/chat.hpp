// The business logic of the chat service.
#pragma once

namespace foz::service {
class worker;
}

namespace chat {

// Adds the handlers of channel "chat".
void add_handlers(foz::service::worker& worker);

// Adds the type "demo.crash", which aborts the process: what a message does that no worker survives.
void add_demo(foz::service::worker& worker);

}  // namespace chat
