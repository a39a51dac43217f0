#include "identity/connect_answer.hpp"

#include "identity/claims.hpp"

#include <optional>
#include <utility>

namespace foz::identity {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t issuer_octets_max = 255;

// The usual places: a service says what it means.
claim_rules rules_of(const connect_rules& rules) {
    return {.may_be_partial = true,
            .audience = {},
            .client_prefix = rules.client_prefix,
            .leeway = rules.leeway,
            .channels = {"foz", "channels"},
            .groups = {"foz", "groups"},
            .limits = {"foz", "limits"},
            .meta = {"foz", "meta"}};
}

bool read_plain(element from, std::size_t octets_max, std::string& to) {
    std::string_view text;
    if (from.get(text) != simdjson::SUCCESS || !is_plain_text(text, octets_max)) return false;
    to = text;
    return true;
}

// For people: with line ends, if they like.
bool read_words(element from, std::string& to) {
    std::string_view text;
    if (from.get(text) != simdjson::SUCCESS || text.size() > denial_text_octets_max) return false;
    to = text;
    return true;
}

std::optional<std::string> read_claims_into(element from, const connect_rules& rules, std::chrono::sys_seconds now,
                                            verified_token& to) {
    object claims;
    if (from.get(claims) != simdjson::SUCCESS) return "claims is not an object";
    const auto issuer = member(claims, "iss");
    std::string_view name;
    if (issuer && (issuer->get(name) != simdjson::SUCCESS || !is_plain_text(name, issuer_octets_max)))
        return "claims: iss is not a text of 1 to 255 octets";
    auto read = read_claims(claims, rules_of(rules), now);
    if (!read) return "claims: " + std::string(code_of(read.error()));
    to = *std::move(read);
    return std::nullopt;
}

}  // namespace

std::expected<connect_answer, std::string> parse_connect_answer(std::string_view json, const connect_rules& rules,
                                                                std::chrono::sys_seconds now) {
    if (json.size() > connect_answer_octets_max) return std::unexpected("it is longer than 64 KiB");
    const auto answer = parse_object(json);
    if (!answer)
        return std::unexpected(answer.error() == json_flaw::duplicate_member ? "a member is there twice"
                                                                             : "it is not a JSON object");
    connect_answer made;
    const auto allow = member(*answer, "allow");
    if (!allow || allow->get(made.allow) != simdjson::SUCCESS)
        return std::unexpected("allow is not there as true or false");
    for (const auto& [name, value] : *answer) {
        if (name == "allow") continue;
        if (name == "claims" && made.allow) {
            if (auto flaw = read_claims_into(value, rules, now, made.claims)) return std::unexpected(*std::move(flaw));
        } else if (name == "code" && !made.allow) {
            if (!read_plain(value, denial_code_octets_max, made.code))
                return std::unexpected("code is not a text of 1 to 64 octets");
        } else if (name == "text" && !made.allow) {
            if (!read_words(value, made.text)) return std::unexpected("text is not a text of at most 1024 octets");
        } else {
            return std::unexpected("it has a member that does not belong there");
        }
    }
    return made;
}

}  // namespace foz::identity
