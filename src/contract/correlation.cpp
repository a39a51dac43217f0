#include "contract/correlation.hpp"

#include "base/encoding.hpp"

#include <charconv>

namespace foz::contract {

namespace {

constexpr std::string_view kinds = "rmi";  // in the order of the enum
constexpr char device_kind = 'd';          // a message of one device
constexpr std::size_t mark_size = 6;
constexpr std::size_t device_size = 8;
constexpr std::size_t short_string_max = 255;

// "abcdef.05r-123id-9"
bool parse_responder(std::string_view text, correlation& into) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos || dot > mark_size || text.size() < dot + 3) return false;
    std::size_t size = 0;
    const char* const digits = text.data() + dot + 1;
    const auto [end, error] = std::from_chars(digits, digits + 2, size);
    if (error != std::errc() || end != digits + 2 || size == 0 || text.size() < dot + 3 + size) return false;
    into.socket = text.substr(0, dot);
    into.request = text.substr(dot + 3, size);
    into.id = text.substr(dot + 3 + size);
    return true;
}

}  // namespace

std::string_view socket_mark(std::string_view session) noexcept {
    return session.substr(0, mark_size);
}

std::string to_string(const correlation& c) {
    if (c.kind == correlation::request_kind::message && !c.device.empty())
        return base64url(c.client.view()) + ":" + device_kind + "." + c.device + "." + c.request;
    std::string text = base64url(c.client.view()) + ":" + kinds[static_cast<std::size_t>(c.kind)] + ".";
    if (c.kind != correlation::request_kind::responder) return text + c.request;
    const std::size_t size = c.request.size();
    text.append(c.socket).append(size < 10 ? ".0" : ".").append(std::to_string(size)).append(c.request);
    if (text.size() + c.id.size() <= short_string_max) text += c.id;
    return text;
}

std::optional<correlation> parse_correlation(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || text.size() < colon + 4 || text[colon + 2] != '.')
        return std::nullopt;
    const bool of_device = text[colon + 1] == device_kind;
    const std::size_t kind = of_device ? kinds.find('m') : kinds.find(text[colon + 1]);
    if (kind == std::string_view::npos) return std::nullopt;
    auto client = from_base64url(text.substr(0, colon));
    if (!client) return std::nullopt;
    correlation made{client_id(std::move(*client)), static_cast<correlation::request_kind>(kind), {}};
    std::string_view rest = text.substr(colon + 3);
    if (of_device) {
        const std::size_t dot = rest.find('.');
        if (dot == std::string_view::npos || dot == 0 || dot > device_size) return std::nullopt;
        made.device = rest.substr(0, dot);
        rest.remove_prefix(dot + 1);
    }
    if (made.kind != correlation::request_kind::responder) {
        made.request = rest;
    } else if (!parse_responder(rest, made)) {
        return std::nullopt;
    }
    return made;
}

}  // namespace foz::contract
