#include "contract/correlation.hpp"

#include "base/encoding.hpp"

namespace foz::contract {

std::string to_string(const correlation& c) {
    return base64url(c.client.view()) + (c.kind == correlation::request_kind::responder ? ":r." : ":m.") + c.request;
}

std::optional<correlation> parse_correlation(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || text.size() < colon + 4 || text[colon + 2] != '.')
        return std::nullopt;
    const char kind = text[colon + 1];
    if (kind != 'r' && kind != 'm') return std::nullopt;
    auto client = from_base64url(text.substr(0, colon));
    if (!client) return std::nullopt;
    return correlation{client_id(std::move(*client)),
                       kind == 'r' ? correlation::request_kind::responder : correlation::request_kind::message,
                       std::string(text.substr(colon + 3))};
}

}  // namespace foz::contract
