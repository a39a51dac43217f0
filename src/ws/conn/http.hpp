// HTTP/1.1 as far as a WebSocket server meets it: requests without a body, answers that fit in memory.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::ws {

inline constexpr std::size_t http_head_bytes_max = 16 * 1024;

struct http_request {
    std::string method;
    std::string target;  // as it came
    std::string path;    // the target up to '?', percent-decoded, without scheme and host (RFC 9112 §3.2.2)
    std::vector<std::pair<std::string, std::string>> query;    // percent-decoded, '+' is a space
    std::vector<std::pair<std::string, std::string>> headers;  // in order, names as they came
    unsigned version = 11;                                     // 10 × major + minor
    bool keep_alive = true;

    // The first header of that name (names don't depend on case), or empty.
    std::string_view header(std::string_view name) const;
    // All headers of that name joined by ", " (RFC 9110 §5.3): for those that are lists.
    std::string all(std::string_view name) const;
    // The first query parameter of that name.
    std::optional<std::string_view> parameter(std::string_view name) const;
    // The value of a cookie (RFC 6265 §4.2), or empty.
    std::string_view cookie(std::string_view name) const;
};

struct http_response {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

// Parses the head of a request, which ends with an empty line. The error is a response to send before closing: 400,
// or 413 for a request with a body. HTTP/1.1 wants exactly one Host header (RFC 9112 §3.2).
std::expected<http_request, http_response> parse_http_request(std::string_view head);

// The whole response as octets. Date and Server are left out; Content-Length is there unless the status forbids it
// (RFC 9110 §8.6).
std::string to_octets(const http_response& response, bool keep_alive, bool with_body = true);

// The 101 that completes an upgrade (RFC 6455 §4.2.2).
std::string upgrade_response(std::string_view accept, const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace foz::ws
