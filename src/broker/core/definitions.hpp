// Exchanges, queues and bindings as the storage keeps them: one record each.
#pragma once

#include "broker/core/exchange.hpp"
#include "broker/core/queue.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace foz::broker {

struct queue_record {
    std::string vhost;
    std::string name;
    queue_number number = 0;
    queue_flags flags;
    amqp::table arguments;
};

struct exchange_record {
    std::string vhost;
    exchange_identity identity;
};

struct binding_record {
    std::string vhost;
    std::string exchange;
    bool to_exchange = false;
    std::string destination;
    std::string routing_key;
    amqp::table arguments;
};

struct definition {
    std::string key;
    std::string value;
};

definition encode(const queue_record& record);
definition encode(const exchange_record& record);
definition encode(const binding_record& record);

using any_record = std::variant<queue_record, exchange_record, binding_record>;
// Nothing for a record of another kind or a broken one.
std::optional<any_record> decode_definition(std::string_view key, std::string_view value);

}  // namespace foz::broker
