// Which sockets an operator wants closed.
#pragma once

#include "base/strong.hpp"

#include <variant>

namespace foz::aggregator {

struct disconnect_order {
    std::variant<client_id, session_id> whom;  // all sockets of a client, or one
    // Tells it not to come back, which a client of Primus obeys. Otherwise it is closed like one whose aggregator
    // stops.
    bool stay_away = false;
};

}  // namespace foz::aggregator
