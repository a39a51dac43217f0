#include "ws/conn/forwarded.hpp"

#include "base/ascii.hpp"
#include "ws/conn/request_target.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace foz::ws {
namespace {

std::string_view without_blanks(std::string_view text) {
    constexpr std::string_view blanks = " \t";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

// Up to the first separator outside of a quoted string (RFC 9110 §5.6.4); cuts it off.
std::string_view cut(std::string_view& text, char separator) {
    bool quoted = false;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
        if (text[i] == '"') quoted = !quoted;
        if (quoted && text[i] == '\\') ++i;
        if (!quoted && i < text.size() && text[i] == separator) break;
    }
    i = std::min(i, text.size());
    const std::string_view part = without_blanks(text.substr(0, i));
    text.remove_prefix(std::min(i + 1, text.size()));
    return part;
}

// Is the last octet of `text` behind an odd number of backslashes? Then it is a part of a quoted pair (RFC 9110
// §5.6.4).
bool is_escaped(std::string_view text) {
    text.remove_suffix(1);
    const std::size_t other = text.find_last_not_of('\\');
    return (text.size() - (other == std::string_view::npos ? 0 : other + 1)) % 2 == 1;
}

// The last part of a list; cuts it off. From the end, where the nearest proxy has written: a quote that its client has
// left open stands before that, and must not swallow it.
std::string_view cut_last(std::string_view& list, forwarding kind) {
    bool quoted = false;
    std::size_t begin = list.size();
    for (; begin > 0 && (quoted || list[begin - 1] != ','); --begin)
        // X-Forwarded-… knows no quotes.
        if (kind == forwarding::rfc_7239 && list[begin - 1] == '"' && !is_escaped(list.substr(0, begin)))
            quoted = !quoted;
    const std::string_view part = without_blanks(list.substr(begin));
    list = list.substr(0, begin > 0 ? begin - 1 : 0);
    return part;
}

std::string_view last_of(std::string_view list, forwarding kind) {
    return cut_last(list, kind);
}

std::string unquoted(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
    std::string out;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && i + 2 < text.size()) ++i;
        out += text[i];
    }
    return out;
}

void take_scheme(request_origin& to, std::string_view scheme) {
    if (ascii_iequals(scheme, "https") || ascii_iequals(scheme, "wss")) to.secure = true;
    if (ascii_iequals(scheme, "http") || ascii_iequals(scheme, "ws")) to.secure = false;
}

void take_host(request_origin& to, std::string host) {
    if (is_authority(host)) to.host = std::move(host);
}

// Of a port: digits, or an obfuscated one (RFC 7239 §6.3).
bool is_port(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
               c == '-';
    });
}

// ADDRESS, ADDRESS:PORT, [ADDRESS], [ADDRESS]:PORT; an IPv6 address without brackets has no port.
std::optional<boost::asio::ip::address> node_address(std::string_view text) {
    std::string_view port;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        port = text.substr(end + 1);
        text = text.substr(1, end - 1);
        if (text.find(':') == std::string_view::npos) return std::nullopt;
    } else if (std::ranges::count(text, ':') == 1) {
        port = text.substr(text.find(':'));
        text = text.substr(0, text.find(':'));
    }
    if (!port.empty() && (port.front() != ':' || !is_port(port.substr(1)))) return std::nullopt;
    if (text.find('%') != std::string_view::npos) return std::nullopt;  // a scope of another machine
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(text, error);
    if (error) return std::nullopt;
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
    return address;
}

// The value of for=, or empty.
std::string for_of(std::string_view element) {
    while (!element.empty()) {
        const std::string_view pair = cut(element, ';');
        const std::size_t equals = pair.find('=');
        if (equals != std::string_view::npos && ascii_iequals(pair.substr(0, equals), "for"))
            return unquoted(pair.substr(equals + 1));
    }
    return {};
}

}  // namespace

request_origin as_forwarded(const http_request& request, forwarding kind, request_origin direct) {
    if (kind == forwarding::x_forwarded) {
        take_scheme(direct, last_of(request.all("X-Forwarded-Proto"), kind));
        take_host(direct, std::string(last_of(request.all("X-Forwarded-Host"), kind)));
        return direct;
    }
    const std::string all = request.all("Forwarded");
    for (std::string_view element = last_of(all, kind); !element.empty();) {
        std::string_view pair = cut(element, ';');
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) continue;
        const std::string_view name = pair.substr(0, equals);
        if (ascii_iequals(name, "proto")) take_scheme(direct, unquoted(pair.substr(equals + 1)));
        if (ascii_iequals(name, "host")) take_host(direct, unquoted(pair.substr(equals + 1)));
    }
    return direct;
}

boost::asio::ip::address client_address(const http_request& request, forwarding kind,
                                        const boost::asio::ip::address& peer, const net::network_list& proxies) {
    boost::asio::ip::address client = peer;
    if (!proxies.contains(peer)) return client;
    const bool rfc = kind == forwarding::rfc_7239;
    const std::string all = request.all(rfc ? "Forwarded" : "X-Forwarded-For");
    for (std::string_view list = all; !list.empty();) {
        const std::string_view hop = cut_last(list, kind);
        const auto address = node_address(rfc ? for_of(hop) : std::string(hop));
        if (!address) break;
        client = *address;
        if (!proxies.contains(client)) break;
    }
    return client;
}

}  // namespace foz::ws
