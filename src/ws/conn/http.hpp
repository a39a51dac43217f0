// HTTP/1.1 as far as a WebSocket server meets it: requests without content, or with some that has a known length;
// answers from memory, or from a source that is read as fast as the client takes them.
#pragma once

#include "base/clock.hpp"
#include "base/frame.hpp"
#include "ws/conn/body_source.hpp"

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::ws {

inline constexpr std::size_t http_head_bytes_max = 16 * 1024;

// What an application has learnt of a request before it is asked again, on another shard. Connections don't look at it.
class request_note {
public:
    virtual ~request_note() = default;
};

struct http_request {
    std::string method;
    std::string target;  // as it came
    std::string host;    // HOST or HOST:PORT, of the Host header or the absolute target; empty: HTTP/1.0 told none
    std::string path;    // as request_target::path
    std::vector<std::pair<std::string, std::string>> query;    // as request_target::query
    std::vector<std::pair<std::string, std::string>> headers;  // in order, names as they came
    unsigned version = 11;                                     // 10 × major + minor
    bool keep_alive = true;
    // Who the client is by its TLS certificate, which was verified (connection_options::client_name).
    std::optional<std::string> certified{};
    std::size_t content_length = 0;              // as the head says; at most what the application takes
    std::string content;                         // complete when the application is asked
    std::shared_ptr<const request_note> note{};  // of `elsewhere`, when that has brought it here

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
    // Instead of `body`: octets that many answers share, or a source that is read while the client takes it.
    shared_octets shared{};
    std::shared_ptr<body_source> source{};
    bool last = false;  // the connection closes behind it

    std::uint64_t body_bytes() const noexcept;
};

// RFC 9110 §6.4.1: these statuses have no body.
constexpr bool may_have_body(unsigned status) noexcept {
    return status >= 200 && status != 204 && status != 304;
}

// Parses the head of a request, which ends with an empty line. The error is a response to send before closing: 400,
// 411, 413, 417, or 505 for another major version. HTTP/1.1 wants exactly one Host header (RFC 9112 §3.2).
//
// `content_bytes_max`: what a request may carry, its length told by one Content-Length of digits alone. Any
// Transfer-Encoding is 411 (RFC 9112 §6.3), or 413 where no content is taken at all; beside a Content-Length, or in
// HTTP/1.0, it is 400: two readers of it could find different ends (§6.1, §11.2).
std::expected<http_request, http_response> parse_http_request(std::string_view head, std::size_t content_bytes_max = 0);

// The response up to the empty line, with Date (RFC 9110 §6.6.1). Content-Length is there unless the status forbids it
// (§8.6).
std::string head_octets(const http_response& response, bool keep_alive, wall_time now);

// The whole response as octets, unless its body is a source.
std::string to_octets(const http_response& response, bool keep_alive, wall_time now, bool with_body = true);

// The client waits for it before it sends the content (RFC 9110 §10.1.1).
bool expects_continue(const http_request& request);

// The 101 that completes an upgrade (RFC 6455 §4.2.2).
std::string upgrade_response(std::string_view accept, const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace foz::ws
