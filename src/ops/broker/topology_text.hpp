// The broker's topology for people and for RabbitMQ's own tools.
#pragma once

#include "contract/topology.hpp"

#include <span>
#include <string>
#include <vector>

namespace foz::ops {

// What limits a stream: over AMQP it can't be declared.
struct retention_policy {
    std::string name;
    std::string pattern;
    int priority = 10;
    amqp::table definition;
};

// RabbitMQ takes the age in seconds with a unit.
std::vector<retention_policy> retention_policies(std::span<const contract::channel_settings> channels);

// One line for each exchange, queue, binding and policy.
std::string describe(std::span<const contract::channel_settings> channels, contract::with_revocations revocations);

// RabbitMQ's definitions, for load_definitions or `rabbitmqctl import_definitions`: everything that foz declares and
// the policies that limit the streams, which can't be declared over AMQP.
std::string definitions(std::span<const contract::channel_settings> channels, contract::with_revocations revocations,
                        const std::string& vhost);

}  // namespace foz::ops
