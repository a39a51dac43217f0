// The one translation unit that knows Boost.Beast, and the place of its non-template code.
#include "ws/conn/http.hpp"

#include <algorithm>
#include <utility>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/src.hpp>

namespace foz::ws {
namespace {

namespace http = boost::beast::http;

bool same_name(std::string_view a, std::string_view b) {
    return boost::beast::iequals(a, b);
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// RFC 3986 §2.1. A stray '%' stands for itself.
std::string percent_decoded(std::string_view text, bool plus_is_space) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            out += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

void parse_target(http_request& request) {
    std::string_view target = request.target;
    target = target.substr(0, target.find('#'));
    // RFC 9112 §3.2.2: the absolute form has to be understood; the Host header tells the host, for us it is of no use.
    if (const std::size_t scheme = target.find("://"); scheme != std::string_view::npos && target.front() != '/') {
        target.remove_prefix(scheme + 3);
        target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    }
    const std::size_t question = std::min(target.find('?'), target.size());
    request.path = question == 0 ? "/" : percent_decoded(target.substr(0, question), false);
    std::string_view query = target.substr(std::min(question + 1, target.size()));
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        if (!pair.empty())
            request.query.emplace_back(percent_decoded(pair.substr(0, equals), true),
                                       percent_decoded(pair.substr(std::min(equals + 1, pair.size())), true));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
}

std::string status_line(unsigned status) {
    return "HTTP/1.1 " + std::to_string(status) + " " +
           std::string(http::obsolete_reason(http::int_to_status(status))) + "\r\n";
}

void append_headers(std::string& out, const std::vector<std::pair<std::string, std::string>>& headers) {
    for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
}

}  // namespace

std::string_view http_request::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (same_name(key, name)) return value;
    return {};
}

std::string http_request::all(std::string_view name) const {
    std::string joined;
    bool first = true;
    for (const auto& [key, value] : headers) {
        if (!same_name(key, name)) continue;
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

std::expected<http_request, http_response> parse_http_request(std::string_view head) {
    http::request_parser<http::empty_body> parser;
    parser.header_limit(http_head_bytes_max);
    parser.eager(false);
    boost::beast::error_code error;
    parser.put(boost::asio::buffer(head.data(), head.size()), error);
    if (error && error != http::error::need_more)
        return std::unexpected(http_response{.status = 400, .body = "bad request: " + error.message() + "\n"});
    if (!parser.is_header_done())
        return std::unexpected(http_response{.status = 400, .body = "bad request: the head is not complete\n"});
    const auto& message = parser.get();
    if (message.version() >= 11 && message.count(http::field::host) != 1)
        return std::unexpected(http_response{.status = 400, .body = "bad request: one Host header is expected\n"});
    // Any transfer coding: where such a request ends, nobody could tell (RFC 9112 §6.1).
    if (message.count(http::field::transfer_encoding) > 0 || parser.content_length().value_or(0) > 0)
        return std::unexpected(http_response{.status = 413, .body = "requests with a body are not taken here\n"});

    http_request request;
    request.method = message.method_string();
    request.target = message.target();
    request.version = message.version();
    request.keep_alive = message.keep_alive();
    for (const auto& field : message) request.headers.emplace_back(field.name_string(), field.value());
    parse_target(request);
    return request;
}

std::string to_octets(const http_response& response, bool keep_alive, bool with_body) {
    std::string out = status_line(response.status);
    append_headers(out, response.headers);
    const bool bodyless = response.status == 204 || response.status == 304;
    if (!bodyless) {
        if (!response.content_type.empty()) out += "Content-Type: " + response.content_type + "\r\n";
        out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
    }
    // RFC 9110 §7.8: who sends Upgrade says so in Connection.
    const bool offers_upgrade = std::any_of(response.headers.begin(), response.headers.end(),
                                            [](const auto& header) { return same_name(header.first, "Upgrade"); });
    out += offers_upgrade ? "Connection: Upgrade, " : "Connection: ";
    out += keep_alive ? "keep-alive\r\n\r\n" : "close\r\n\r\n";
    if (with_body && !bodyless) out += response.body;
    return out;
}

std::string upgrade_response(std::string_view accept, const std::vector<std::pair<std::string, std::string>>& headers) {
    std::string out = status_line(101) + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    out += accept;
    out += "\r\n";
    append_headers(out, headers);
    return out + "\r\n";
}

}  // namespace foz::ws
