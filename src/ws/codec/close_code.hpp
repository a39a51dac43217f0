#pragma once

#include <cstdint>

namespace foz::ws {

// RFC 6455 §7.4.1 and IANA's registry. 3000 to 3999 are registered by libraries, 4000 to 4999 are an application's.
enum class close_code : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    no_status_received = 1005,  // never on the wire: the close frame had no code
    abnormal_closure = 1006,    // never on the wire: the connection broke without a close frame
    invalid_payload = 1007,
    policy_violation = 1008,
    message_too_big = 1009,
    mandatory_extension = 1010,
    internal_error = 1011,
    service_restart = 1012,
    try_again_later = 1013,
    bad_gateway = 1014,
};

// May a close frame carry it? RFC 6455 §7.4.
constexpr bool allowed_on_wire(std::uint16_t code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

}  // namespace foz::ws
