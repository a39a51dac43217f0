// The message_id under which a client's message travels.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace foz::contract {

// <client>/<id>; of a client that has shown who it is <client>/<device>/<id>, since its devices count by themselves.
// "%" and "/" in a client's name are written %25 and %2F, so that no two clients' messages have the same name.
//
// At most 255 octets (AMQP's short string) for a name that fits name_octets_max so written, a device of 8 octets and an
// id of 64.
inline constexpr std::size_t name_octets_max = 180;

inline std::string message_name(std::string_view client) {
    std::string name;
    for (const char c : client) {
        if (c == '%') {
            name += "%25";
        } else if (c == '/') {
            name += "%2F";
        } else {
            name += c;
        }
    }
    return name;
}

inline std::string message_id(std::string_view client, std::optional<std::string_view> device,
                              std::string_view own_id) {
    std::string out = message_name(client) + "/";
    if (device) out.append(*device).append("/");
    return out.append(own_id);
}

}  // namespace foz::contract
