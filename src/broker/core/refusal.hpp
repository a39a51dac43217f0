// What the broker refuses, as AMQP says it.
#pragma once

#include "amqp/codec/constants.hpp"

#include <cstdint>
#include <expected>
#include <string>

namespace foz::broker {

// The code's usual scope (amqp::scope_of) unless the model says otherwise: RabbitMQ closes the whole connection for
// some that AMQP calls soft.
struct refusal {
    amqp::reply_code code = amqp::reply_code::internal_error;
    std::string text;      // without the code's name, worded as RabbitMQ's
    std::string argument;  // of a declaration, when one is at fault: "x-max-length", "durable"

    // They say the same.
    bool operator==(const refusal& other) const { return code == other.code && text == other.text; }
};

template <class T>
using result = std::expected<T, refusal>;

inline std::unexpected<refusal> refuse(amqp::reply_code code, std::string text) {
    return std::unexpected(refusal{code, std::move(text), {}});
}

}  // namespace foz::broker
