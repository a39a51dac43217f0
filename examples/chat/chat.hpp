// The business logic of the chat service.
#pragma once

namespace foz::service {
class worker;
}

namespace chat {

// Adds the handlers of channel "chat".
void add_handlers(foz::service::worker& worker);

}  // namespace chat
