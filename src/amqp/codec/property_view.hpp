// A message's properties as they came, looked at without decoding them (AMQP 0-9-1 §4.2.6.1): for a broker, which
// passes them on as they are.
#pragma once

#include "amqp/codec/field_table.hpp"
#include "amqp/codec/methods.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace foz::amqp {

// Views into the octets that were scanned.
struct property_view {
    std::string_view headers;  // the table's entries without its length; empty when there are none
    std::optional<std::uint8_t> delivery_mode;
    std::optional<std::uint8_t> priority;
    std::optional<std::string_view> reply_to;
    std::optional<std::string_view> expiration;
    std::optional<std::string_view> user_id;
};

// `octets`: property flags and list, the part of a header frame's payload behind class, weight and body size. What is
// accepted here is what basic_properties can be decoded from.
std::expected<property_view, wire_error> scan_properties(std::string_view octets);

// True when a table's entries hold the key. `entries` was scanned before.
bool has_key(std::string_view entries, std::string_view key);

// The same properties with a header more, placed first. No header of that name is looked for. `octets` was scanned
// before.
std::string with_header(std::string_view octets, std::string_view key, std::int64_t value);

basic_properties decode_properties(std::string_view octets);  // which were scanned before
// The headers may not fit a frame: that shows when they are sent.
std::expected<std::string, wire_error> encode_properties(const basic_properties& properties);

}  // namespace foz::amqp
