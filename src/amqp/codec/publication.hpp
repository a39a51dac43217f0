// A message that is to be published, and what may become of it.
#pragma once

#include "amqp/codec/methods.hpp"

#include <string>

namespace foz::amqp {

enum class outcome {
    confirmed,    // the broker has taken responsibility
    unroutable,   // mandatory, and no queue took it (basic.return)
    rejected,     // refused again and again: a full queue that rejects publishes
    overloaded,   // not sent: too much is waiting for confirms already
    unavailable,  // not sent within its deadline: no broker
    unknown,      // sent, but not confirmed within its deadline; it may or may not have arrived
    invalid,      // can't be encoded (a name of more than 255 octets, headers larger than a frame)
};

struct publication {
    std::string exchange;
    std::string routing_key;
    basic_properties properties;
    std::string body;
    bool mandatory = true;
};

}  // namespace foz::amqp
