// The one translation unit that knows Boost.Beast, and the place of its non-template code.
#include "ws/conn/http.hpp"

#include "base/ascii.hpp"
#include "ws/conn/http_date.hpp"
#include "ws/conn/request_target.hpp"

#include <algorithm>
#include <utility>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/src.hpp>

namespace foz::ws {
namespace {

namespace http = boost::beast::http;

std::string status_line(unsigned status) {
    return "HTTP/1.1 " + std::to_string(status) + " " +
           std::string(http::obsolete_reason(http::int_to_status(status))) + "\r\n";
}

http_response bad_request(const std::string& why) {
    return {.status = 400, .body = "bad request: " + why + "\n"};
}

std::string_view request_line(std::string_view head) {
    return head.substr(0, head.find("\r\n"));
}

// Of a request line that ends with "HTTP/D.D" (RFC 9112 §2.3).
std::optional<int> major_version(std::string_view head) {
    const std::string_view line = request_line(head);
    const std::string_view version = line.substr(std::min(line.rfind(' '), line.size() - 1) + 1);
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(version[5]) || version[6] != '.' ||
        !digit(version[7]))
        return std::nullopt;
    return version[5] - '0';
}

// A minor version that we don't know is treated as the highest that we do, which is 1 (RFC 9110 §2.5).
std::string with_known_version(std::string_view head) {
    std::string out(head);
    const std::size_t end = request_line(head).size();
    if (major_version(head) == 1 && out[end - 1] > '1') out[end - 1] = '1';
    return out;
}

// The framing of the content (RFC 9112 §6.3), stricter than it has to be: what can be read in two ways is read in none.
std::expected<std::size_t, http_response> length_of_content(const http::fields& all, unsigned version,
                                                            std::size_t content_bytes_max) {
    const std::size_t lengths = all.count(http::field::content_length);
    if (all.count(http::field::transfer_encoding) > 0) {
        if (lengths > 0 || version < 11) return std::unexpected(bad_request("Transfer-Encoding can't be believed"));
        // Where such a request ends, nobody could tell (RFC 9112 §6.1).
        if (content_bytes_max > 0)
            return std::unexpected(http_response{.status = 411, .body = "a Content-Length is expected\n"});
        return std::unexpected(http_response{.status = 413, .body = "requests with a body are not taken here\n"});
    }
    if (lengths == 0) return 0;
    const std::string_view text = all[http::field::content_length];
    if (lengths > 1 || text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos)
        return std::unexpected(bad_request("one Content-Length is expected"));
    const std::size_t digits = text.size() - std::min(text.find_first_not_of('0'), text.size());
    constexpr std::size_t digits_max = 18;
    const std::size_t length = digits > digits_max ? std::size_t(-1) : std::stoull(std::string(text));
    if (length <= content_bytes_max) return length;
    const std::string limit = content_bytes_max == 0
                                  ? "requests with a body are not taken here"
                                  : "a body may have " + std::to_string(content_bytes_max) + " octets";
    return std::unexpected(http_response{.status = 413, .body = limit + "\n"});
}

void append_headers(std::string& out, const std::vector<std::pair<std::string, std::string>>& headers) {
    for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
}

}  // namespace

std::string_view http_request::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (ascii_iequals(key, name)) return value;
    return {};
}

std::string http_request::all(std::string_view name) const {
    std::string joined;
    bool first = true;
    for (const auto& [key, value] : headers) {
        if (!ascii_iequals(key, name)) continue;
        if (!std::exchange(first, false)) joined += ", ";
        joined += value;
    }
    return joined;
}

std::optional<std::string_view> http_request::parameter(std::string_view name) const {
    for (const auto& [key, value] : query)
        if (key == name) return value;
    return std::nullopt;
}

std::string_view http_request::cookie(std::string_view name) const {
    std::string_view all = header("Cookie");
    while (!all.empty()) {
        const std::size_t end = std::min(all.find(';'), all.size());
        std::string_view pair = all.substr(0, end);
        while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
        const std::size_t equals = pair.find('=');
        if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
        all.remove_prefix(std::min(end + 1, all.size()));
    }
    return {};
}

std::expected<http_request, http_response> parse_http_request(std::string_view head_as_it_came,
                                                              std::size_t content_bytes_max) {
    const auto version = major_version(head_as_it_came);
    if (version.value_or(1) != 1)
        return std::unexpected(http_response{.status = 505, .body = "HTTP/1.1 is spoken here\n"});
    const std::string head = with_known_version(head_as_it_came);
    http::request_parser<http::empty_body> parser;
    parser.header_limit(http_head_bytes_max);
    parser.eager(false);
    parser.body_limit(boost::none);  // length_of_content() has one
    boost::beast::error_code error;
    parser.put(boost::asio::buffer(head.data(), head.size()), error);
    if (error && error != http::error::need_more) return std::unexpected(bad_request(error.message()));
    if (!parser.is_header_done()) return std::unexpected(bad_request("the head is not complete"));
    const auto& message = parser.get();
    if (message.version() >= 11 && message.count(http::field::host) != 1)
        return std::unexpected(bad_request("one Host header is expected"));
    const auto content_length = length_of_content(message.base(), message.version(), content_bytes_max);
    if (!content_length) return std::unexpected(content_length.error());

    http_request request;
    request.content_length = *content_length;
    request.method = message.method_string();
    request.target = message.target();
    request.version = message.version();
    request.keep_alive = message.keep_alive();
    for (const auto& field : message) request.headers.emplace_back(field.name_string(), field.value());
    auto target = parse_request_target(request.method, request.target);
    if (!target) return std::unexpected(bad_request(target.error()));
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    // RFC 9112 §3.2.2: an absolute target's host counts, whatever Host says.
    request.host = target->authority.empty() ? std::string(request.header("Host")) : std::move(target->authority);
    if (!request.host.empty() && !is_authority(request.host)) return std::unexpected(bad_request("the host"));
    if (const std::string expected = request.all("Expect");
        !expected.empty() && !ascii_iequals(expected, "100-continue"))
        return std::unexpected(http_response{.status = 417, .body = "this can't be expected: 100-continue can\n"});
    return request;
}

bool expects_continue(const http_request& request) {
    return request.version >= 11 && request.content_length > 0 && ascii_iequals(request.all("Expect"), "100-continue");
}

std::string head_octets(const http_response& response, bool keep_alive, wall_time now) {
    std::string out = status_line(response.status) + "Date: " + http_date(now) + "\r\n";
    append_headers(out, response.headers);
    if (may_have_body(response.status)) {
        if (!response.content_type.empty()) out += "Content-Type: " + response.content_type + "\r\n";
        out += "Content-Length: " + std::to_string(response.body_bytes()) + "\r\n";
    }
    // RFC 9110 §7.8: who sends Upgrade says so in Connection.
    const bool offers_upgrade = std::any_of(response.headers.begin(), response.headers.end(),
                                            [](const auto& header) { return ascii_iequals(header.first, "Upgrade"); });
    out += offers_upgrade ? "Connection: Upgrade, " : "Connection: ";
    return out + (keep_alive ? "keep-alive\r\n\r\n" : "close\r\n\r\n");
}

std::string to_octets(const http_response& response, bool keep_alive, wall_time now, bool with_body) {
    std::string out = head_octets(response, keep_alive, now);
    if (with_body && may_have_body(response.status)) out += response.shared ? *response.shared : response.body;
    return out;
}

std::uint64_t http_response::body_bytes() const noexcept {
    return source ? source->size() : shared ? shared->size() : body.size();
}

std::string upgrade_response(std::string_view accept, const std::vector<std::pair<std::string, std::string>>& headers) {
    std::string out = status_line(101) + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    out += accept;
    out += "\r\n";
    append_headers(out, headers);
    return out + "\r\n";
}

}  // namespace foz::ws
