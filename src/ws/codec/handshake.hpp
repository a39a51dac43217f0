// The opening handshake, server side, on header values that someone else has parsed (RFC 6455 §4.2).
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace foz::ws {

struct upgrade_request {
    std::string_view method;
    unsigned http_version = 11;  // 10 × major + minor
    std::string_view upgrade;    // header values, empty when absent
    std::string_view connection;
    std::string_view version;  // Sec-WebSocket-Version
    std::string_view key;      // Sec-WebSocket-Key
};

struct handshake_failure {
    unsigned status;  // 400, 405 or 426; with 426 goes "Sec-WebSocket-Version: 13"
    std::string_view text;
};

// Does the request ask for a WebSocket at all?
bool wants_websocket(const upgrade_request& request);

// Sec-WebSocket-Accept for a good request.
std::expected<std::string, handshake_failure> judge_upgrade(const upgrade_request& request);

// RFC 6455 §4.2.2: base64(SHA-1(key + the protocol's GUID)).
std::string accept_value(std::string_view key);

}  // namespace foz::ws
