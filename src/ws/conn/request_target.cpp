#include "ws/conn/request_target.hpp"

#include "base/ascii.hpp"

#include <algorithm>
#include <optional>

namespace foz::ws {
namespace {

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// RFC 3986 §2.1; nothing when `text` does not begin with an encoded octet.
std::optional<char> encoded_octet(std::string_view text) noexcept {
    if (text.size() < 3 || text[0] != '%' || hex_value(text[1]) < 0 || hex_value(text[2]) < 0) return std::nullopt;
    return static_cast<char>(hex_value(text[1]) * 16 + hex_value(text[2]));
}

bool is_control(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// What a target may consist of before anything is decoded: visible ASCII. Browsers leave more of it unencoded than RFC
// 3986 §2 allows; '#' begins a fragment, which is never sent (§3.5), and '\' is a '/' to some.
bool is_target_character(char c) noexcept {
    return c > 0x20 && c < 0x7f && c != '#' && c != '\\';
}

std::expected<std::string, std::string> decoded_segment(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto octet = encoded_octet(text.substr(i));
        if (!octet) return std::unexpected("a % in the path is followed by two hexadecimal digits");
        if (*octet == '/' || is_control(*octet))
            return std::unexpected("an encoded slash or control character in the path");
        out += *octet;
        i += 2;
    }
    return out;
}

// RFC 3986 §5.2.4 on decoded segments ("%2e" is a dot, §6.2.2.2); a path that leaves the root is refused.
std::expected<std::string, std::string> canonical_path(std::string_view text) {
    std::vector<std::string> segments;
    bool folder = false;  // it ends with a slash, or with a dot segment
    for (text.remove_prefix(1);;) {
        const std::size_t end = std::min(text.find('/'), text.size());
        auto segment = decoded_segment(text.substr(0, end));
        if (!segment) return std::unexpected(segment.error());
        folder = *segment == "." || *segment == "..";
        if (*segment == "..") {
            if (segments.empty()) return std::unexpected("the path leaves the root");
            segments.pop_back();
        } else if (*segment != ".") {
            segments.push_back(*std::move(segment));
        }
        if (end == text.size()) break;
        text.remove_prefix(end + 1);
    }
    std::string out;
    for (const std::string& one : segments) out += "/" + one;
    return folder ? out + "/" : out;
}

std::string decoded_parameter(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (const auto octet = encoded_octet(text.substr(i))) {
            out += *octet;
            i += 2;
        } else {
            out += text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> all;
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        if (!pair.empty())
            all.emplace_back(decoded_parameter(pair.substr(0, equals)),
                             decoded_parameter(pair.substr(std::min(equals + 1, pair.size()))));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return all;
}

// The scheme of an absolute target does not depend on case (RFC 3986 §3.1). 0: it is none that is served here.
std::size_t scheme_length(std::string_view target) noexcept {
    for (const std::string_view scheme : {"http://", "https://"})
        if (ascii_istarts_with(target, scheme)) return scheme.size();
    return 0;
}

}  // namespace

bool is_authority(std::string_view text) noexcept {
    std::size_t colon = text.rfind(':');
    if (text.starts_with('[')) {  // an IPv6 address (RFC 3986 §3.2.2)
        const std::size_t end = text.find(']');
        const std::string_view address = text.substr(1, end == std::string_view::npos ? 0 : end - 1);
        if (address.empty() || address.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos)
            return false;
        if (end + 1 == text.size()) return true;
        if (text[end + 1] != ':') return false;
        colon = end + 1;
    } else {
        const std::string_view name = text.substr(0, std::min(colon, text.size()));
        const auto allowed = [](char c) {  // reg-name, without its percent-encoded form
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   std::string_view("-._~!$&'()*+,;=").find(c) != std::string_view::npos;
        };
        if (name.empty() || !std::all_of(name.begin(), name.end(), allowed)) return false;
        if (colon == std::string_view::npos) return true;
    }
    const std::string_view port = text.substr(colon + 1);  // may be empty (RFC 3986 §3.2.3)
    return port.size() <= 5 && port.find_first_not_of("0123456789") == std::string_view::npos;
}

std::expected<request_target, std::string> parse_request_target(std::string_view method, std::string_view target) {
    request_target out;
    if (target == "*" && method == "OPTIONS") {  // RFC 9112 §3.2.4
        out.path = "*";
        return out;
    }
    if (!std::all_of(target.begin(), target.end(), is_target_character))
        return std::unexpected("a character that a target may not have");
    const bool absolute = !target.starts_with('/');
    if (absolute) {  // RFC 9112 §3.2.2
        const std::size_t scheme = scheme_length(target);
        if (scheme == 0) return std::unexpected("a target that begins with / is expected");
        target.remove_prefix(scheme);
        const std::size_t end = std::min(target.find_first_of("/?"), target.size());
        out.authority = target.substr(0, end);
        target.remove_prefix(end);
        if (!is_authority(out.authority)) return std::unexpected("the host of the target");
    }
    const std::size_t question = std::min(target.find('?'), target.size());
    const std::string_view path = target.substr(0, question);
    // Of an absolute target the path may be empty, and is "/" then (RFC 9110 §4.2.3).
    auto canonical = canonical_path(path.empty() ? "/" : path);
    if (!canonical) return std::unexpected(canonical.error());
    out.path = *std::move(canonical);
    out.query = parse_query(target.substr(std::min(question + 1, target.size())));
    return out;
}

}  // namespace foz::ws
