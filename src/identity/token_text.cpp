#include "identity/token_text.hpp"

#include "base/ascii.hpp"
#include "base/encoding.hpp"
#include "identity/strict_json.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace foz::identity {
namespace {

using parts = std::array<std::string_view, 3>;

std::expected<parts, refusal> split(std::string_view text) {
    if (text.size() > token_octets_max) return std::unexpected(refusal::too_large);
    const auto dots = std::ranges::count(text, '.');
    if (dots == 4) return std::unexpected(refusal::encrypted);  // RFC 7516 §9
    if (dots != 2) return std::unexpected(refusal::not_a_token);
    const std::size_t first = text.find('.');
    const std::size_t second = text.rfind('.');
    return parts{text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1)};
}

// Without the "application/" that may be left out (RFC 7515 §4.1.9).
std::string_view media_type(std::string_view type) {
    constexpr std::string_view prefix = "application/";
    return ascii_istarts_with(type, prefix) ? type.substr(prefix.size()) : type;
}

// RFC 8725 §3.11: other kinds of token of the same issuer are no access tokens.
std::optional<refusal> check_types(simdjson::dom::object header) {
    if (member(header, "crit")) return refusal::critical_header;
    if (const auto content = member(header, "cty")) {
        std::string_view type;
        if (content->get(type) != simdjson::SUCCESS) return refusal::bad_header;
        if (ascii_iequals(media_type(type), "jwt")) return refusal::nested;
    }
    if (const auto typ = member(header, "typ")) {
        std::string_view type;
        if (typ->get(type) != simdjson::SUCCESS) return refusal::bad_header;
        if (!ascii_iequals(media_type(type), "jwt") && !ascii_iequals(media_type(type), "at+jwt"))
            return refusal::wrong_type;
    }
    return std::nullopt;
}

std::expected<algorithm, refusal> read_algorithm(simdjson::dom::object header) {
    const auto alg = member(header, "alg");
    if (!alg) return std::unexpected(refusal::missing_algorithm);
    std::string_view name;
    if (alg->get(name) != simdjson::SUCCESS) return std::unexpected(refusal::bad_header);
    if (ascii_iequals(name, "none")) return std::unexpected(refusal::unsigned_token);
    const auto known = parse_algorithm(name);
    if (!known) return std::unexpected(refusal::unknown_algorithm);
    return *known;
}

std::expected<token_text, refusal> read_header(std::string_view octets) {
    const auto header = parse_object(octets);
    if (!header)
        return std::unexpected(header.error() == json_flaw::duplicate_member ? refusal::duplicate_header_member
                                                                             : refusal::bad_header);
    if (const auto refused = check_types(*header)) return std::unexpected(*refused);
    const auto how = read_algorithm(*header);
    if (!how) return std::unexpected(how.error());
    token_text made{.how = *how};
    if (const auto kid = member(*header, "kid")) {
        std::string_view id;
        if (kid->get(id) != simdjson::SUCCESS || !is_plain_text(id, key_id_octets_max))
            return std::unexpected(refusal::bad_header);
        made.key_id = id;
    }
    return made;
}

}  // namespace

std::expected<token_text, refusal> parse_token(std::string_view text) {
    const auto cut = split(text);
    if (!cut) return std::unexpected(cut.error());
    const auto header = from_base64url((*cut)[0]);
    auto claims = from_base64url((*cut)[1]);
    const auto signature = from_base64url((*cut)[2]);
    if (!header || !claims || !signature) return std::unexpected(refusal::bad_encoding);
    auto made = read_header(*header);
    if (!made) return made;
    made->claims = std::move(*claims);
    made->signature_octets = signature->size();
    return made;
}

std::optional<token_contents> read_contents(std::string_view text) {
    const auto cut = split(text);
    if (!cut) return std::nullopt;
    const auto header = from_base64url((*cut)[0]);
    const auto claims = from_base64url((*cut)[1]);
    if (!header || !claims) return std::nullopt;
    token_contents made;
    for (const auto& [octets, to] : {std::pair(&*header, &made.header), std::pair(&*claims, &made.claims)}) {
        const auto all = parse_object(*octets);
        if (!all) return std::nullopt;
        *to = simdjson::minify(*all);
    }
    return made;
}

}  // namespace foz::identity
