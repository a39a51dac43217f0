// What a user of the broker has to be allowed, and nothing else (RabbitMQ's permissions: docs/broker.md).
#pragma once

#include "contract/channel_settings.hpp"
#include "contract/topology.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace foz::ops {

enum class broker_user : std::uint8_t {
    aggregator,  // foz serve, where everything is there already
    worker,      // a service, likewise
    topology,    // foz topology apply: makes what the others use
};

std::optional<broker_user> broker_user_of(std::string_view name);

// Regular expressions, as `rabbitmqctl set_permissions` takes them: of the names of queues and exchanges. None of them
// matches anything when it is "^$".
struct permissions {
    std::string configure;
    std::string write;
    std::string read;
};

// What of the configuration they depend on. A worker's are those for all these channels.
struct granted_for {
    std::span<const contract::channel_settings> channels;
    contract::with_revocations revocations = contract::with_revocations::no;
    bool connect_service = false;  // one is asked
};
permissions permissions_of(broker_user who, const granted_for& what);

}  // namespace foz::ops
