// The receivers of an outbound message, as its headers name them.
#pragma once

#include "amqp/codec/field_table.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace foz::contract {

// The value of foz-multicast or foz-direct: a JSON array of strings as text. Not an AMQP array: a RabbitMQ stream
// drops headers that are arrays or tables, without a word (docs/adr/0001).
std::string encode_receivers(std::span<const std::string> receivers);

// Reads such a header: a JSON array as text, one bare name, or an AMQP array of strings, which survives on volatile
// channels. An absent header (null) is an empty list. Nothing when it is something else or names more than
// receivers_limit.
std::optional<std::vector<std::string>> parse_receivers(const amqp::field_value* header);

}  // namespace foz::contract
