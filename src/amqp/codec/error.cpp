#include "amqp/codec/error.hpp"

namespace foz::amqp {

std::string_view to_string(wire_error error) noexcept {
    switch (error) {
        case wire_error::truncated:
            return "the octets end inside a value";
        case wire_error::trailing_octets:
            return "octets are left after the last value";
        case wire_error::unknown_method:
            return "unknown class or method id";
        case wire_error::unknown_field_type:
            return "unknown type in a field table";
        case wire_error::too_deep:
            return "field tables are nested too deeply";
        case wire_error::bad_property_flags:
            return "property flags that class basic does not have";
        case wire_error::bad_content_header:
            return "content header with a wrong class or weight";
        case wire_error::string_too_long:
            return "a short string is longer than 255 octets";
        case wire_error::value_too_large:
            return "a value is larger than its length field can say";
        case wire_error::frame_too_large:
            return "the frame would be larger than frame_max";
    }
    return "unknown error";
}

reply_code reply_code_of(wire_error error) noexcept {
    switch (error) {
        case wire_error::unknown_method:
            return reply_code::not_implemented;
        case wire_error::bad_content_header:  // AMQP 0-9-1 §4.2.6.1
        case wire_error::frame_too_large:
            return reply_code::frame_error;
        default:
            return reply_code::syntax_error;
    }
}

std::string reply_text(const frame_error& error) {
    std::string text(to_string(error.code));
    text.append(" - ").append(error.text);
    if (text.size() > 255) text.resize(255);
    return text;
}

}  // namespace foz::amqp
