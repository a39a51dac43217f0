#include "contract/correlation.hpp"

#include "base/encoding.hpp"

namespace foz::contract {

namespace {

constexpr std::string_view kinds = "rmi";  // in the order of the enum

}  // namespace

std::string request_key(correlation::request_kind kind, std::string_view request) {
    return {std::string(1, kinds[static_cast<std::size_t>(kind)]) + "." + std::string(request)};
}

std::string to_string(const correlation& c) {
    return base64url(c.client.view()) + ":" + request_key(c.kind, c.request);
}

std::optional<correlation> parse_correlation(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || text.size() < colon + 4 || text[colon + 2] != '.')
        return std::nullopt;
    const std::size_t kind = kinds.find(text[colon + 1]);
    if (kind == std::string_view::npos) return std::nullopt;
    auto client = from_base64url(text.substr(0, colon));
    if (!client) return std::nullopt;
    return correlation{client_id(std::move(*client)), static_cast<correlation::request_kind>(kind),
                       std::string(text.substr(colon + 3))};
}

}  // namespace foz::contract
