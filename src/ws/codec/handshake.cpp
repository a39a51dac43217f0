#include "ws/codec/handshake.hpp"

#include "base/ascii.hpp"
#include "base/digest.hpp"
#include "base/encoding.hpp"

#include <algorithm>

namespace foz::ws {
namespace {

// RFC 9110 §5.6.1: a comma-separated list of tokens.
bool has_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        std::string_view word = list.substr(0, comma);
        while (!word.empty() && (word.front() == ' ' || word.front() == '\t')) word.remove_prefix(1);
        while (!word.empty() && (word.back() == ' ' || word.back() == '\t')) word.remove_suffix(1);
        if (ascii_iequals(word, token)) return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

// RFC 6455 §4.2.1: base64 of 16 octets, that is 22 characters and "==".
bool is_key(std::string_view key) {
    if (key.size() != 24 || key.substr(22) != "==") return false;
    return std::all_of(key.begin(), key.begin() + 22, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
    });
}

}  // namespace

bool wants_websocket(const upgrade_request& request) {
    return has_token(request.upgrade, "websocket");
}

std::expected<std::string, handshake_failure> judge_upgrade(const upgrade_request& request) {
    const auto failed = [](unsigned status, std::string_view text) {
        return std::unexpected(handshake_failure{status, text});
    };
    if (request.method != "GET") return failed(405, "a WebSocket begins with GET");
    if (request.http_version < 11) return failed(400, "a WebSocket needs HTTP/1.1");
    if (!wants_websocket(request)) return failed(426, "this is a WebSocket endpoint");
    if (!has_token(request.connection, "upgrade")) return failed(400, "the Connection header does not say Upgrade");
    if (request.version != "13") return failed(426, "only Sec-WebSocket-Version 13 is spoken");
    if (!is_key(request.key)) return failed(400, "Sec-WebSocket-Key is not the base64 of 16 octets");
    return accept_value(request.key);
}

std::string accept_value(std::string_view key) {
    return base64(sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

}  // namespace foz::ws
