// The errors of the AMQP codec, all of them values.
#pragma once

#include "amqp/codec/constants.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace foz::amqp {

// Why octets could not be decoded or a value not be encoded.
enum class wire_error : std::uint8_t {
    truncated,           // the octets end inside a value
    trailing_octets,     // octets are left after the last value
    unknown_method,      // no such class and method id
    unknown_field_type,  // a field table names a type that does not exist
    too_deep,            // tables and arrays are nested deeper than table_depth_max
    bad_property_flags,  // a content header announces properties that class basic does not have
    bad_content_header,  // its weight is not zero or its class is not basic
    string_too_long,     // a short string or a table's key of more than 255 octets
    value_too_large,     // a long string, array or table of more than 2^32 - 1 octets
    frame_too_large,     // a method or content header does not fit frame_max: it can't span frames
};

// Plain words, without the name of the method.
std::string_view to_string(wire_error error) noexcept;

// The code to close with when the peer sent such octets.
reply_code reply_code_of(wire_error error) noexcept;

// A peer broke the protocol. `code` tells whether the channel or the whole connection has to be closed (scope_of).
struct frame_error {
    reply_code code = reply_code::internal_error;
    std::string text;            // plain words, never octets of a body
    std::uint16_t class_id = 0;  // the method that caused it, for the close method's fields; 0 when there is none
    std::uint16_t method_id = 0;
    // The peer does not speak AMQP 0-9-1. A server answers with its own protocol header and closes the socket
    // (AMQP 0-9-1 §4.2.2), without a close method.
    bool wrong_protocol = false;

    bool operator==(const frame_error&) const = default;
};

// "FRAME_ERROR - text", cut to the 255 octets that a reply-text can hold.
std::string reply_text(const frame_error& error);

}  // namespace foz::amqp
