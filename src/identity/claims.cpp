#include "identity/claims.hpp"

#include "envelope/topic.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

namespace foz::identity {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;
using wrong = std::optional<refusal>;
using moment = std::chrono::sys_seconds;

bool get_string(element from, std::string_view& to) {
    return from.get(to) == simdjson::SUCCESS;
}

// A NumericDate (RFC 7519 §2): seconds since 1970, perhaps with a fraction, before the year 10000.
wrong read_time(object claims, std::string_view name, std::optional<moment>& to) {
    constexpr double seconds_max = 253'402'300'799;
    const auto found = member(claims, name);
    if (!found) return std::nullopt;
    double seconds = -1;
    if (!found->is_number() || found->get(seconds) != simdjson::SUCCESS || !(seconds >= 0 && seconds <= seconds_max))
        return refusal::bad_time;
    to = moment(std::chrono::seconds(static_cast<std::int64_t>(std::floor(seconds))));
    return std::nullopt;
}

wrong read_times(object claims, const claim_rules& rules, moment now, verified_token& to) {
    std::optional<moment> expires, not_before;
    if (auto bad = read_time(claims, "exp", expires)) return bad;
    if (auto bad = read_time(claims, "nbf", not_before)) return bad;
    if (auto bad = read_time(claims, "iat", to.issued)) return bad;
    if (!expires && !rules.may_be_partial) return refusal::missing_expiry;
    if (expires && *expires + rules.leeway <= now) return refusal::expired;
    if (not_before && *not_before > now + rules.leeway) return refusal::not_yet_valid;
    if (to.issued && *to.issued > now + rules.leeway) return refusal::issued_in_future;
    if (!expires) return std::nullopt;
    if (rules.lifetime_max.count() > 0 && *expires > now + rules.lifetime_max + rules.leeway)
        return refusal::expires_too_late;
    to.expires = *expires;
    to.ends = *expires + rules.leeway;
    return std::nullopt;
}

wrong check_audience(object claims, const claim_rules& rules) {
    const auto found = member(claims, "aud");
    if (!found) return rules.audience.empty() ? std::nullopt : wrong(refusal::missing_audience);
    const auto is_ours = [&](std::string_view one) {
        return std::ranges::find(rules.audience, one) != rules.audience.end();
    };
    bool ours = rules.audience.empty();
    std::string_view text;
    if (array list; found->get(list) == simdjson::SUCCESS) {
        for (const element one : list) {
            if (!get_string(one, text)) return refusal::bad_audience;
            ours = ours || is_ours(text);
        }
    } else if (get_string(*found, text)) {
        ours = ours || is_ours(text);
    } else {
        return refusal::bad_audience;
    }
    return ours ? std::nullopt : wrong(refusal::wrong_audience);
}

wrong read_subject(object claims, const claim_rules& rules, verified_token& to) {
    const auto found = member(claims, "sub");
    if (!found) return rules.may_be_partial ? std::nullopt : wrong(refusal::missing_subject);
    std::string_view text;
    if (!get_string(*found, text) || !is_plain_text(text, subject_octets_max)) return refusal::bad_subject;
    to.subject = text;
    to.client = rules.client_prefix + to.subject;
    if (to.client.starts_with("anon-") || to.client.starts_with("session:")) return refusal::reserved_subject;
    if (to.client.size() > subject_octets_max) return refusal::bad_subject;
    return std::nullopt;
}

wrong read_token_id(object claims, verified_token& to) {
    const auto found = member(claims, "jti");
    if (!found) return std::nullopt;
    std::string_view text;
    if (!get_string(*found, text) || !is_plain_text(text, token_id_octets_max)) return refusal::bad_token_id;
    to.token_id = text;
    return std::nullopt;
}

// The claim at the end of a path. What isn't there says nothing.
std::optional<element> claim_at(object claims, const std::vector<std::string>& path) {
    std::optional<element> at;
    for (const std::string& name : path) {
        object inner = claims;
        if (at && at->get(inner) != simdjson::SUCCESS) return std::nullopt;
        at = member(inner, name);
        if (!at) return std::nullopt;
    }
    return at;
}

// true, false, or a list of patterns. False: it is none of them.
bool read_permission(element from, permission& to) {
    if (from.get(to.all) == simdjson::SUCCESS) return true;
    array list;
    if (from.get(list) != simdjson::SUCCESS || list.size() > patterns_max) return false;
    for (const element one : list) {
        std::string_view pattern;
        if (!get_string(one, pattern) || envelope::check_pattern(pattern)) return false;
        to.patterns.emplace_back(pattern);
    }
    return true;
}

bool read_types(element from, std::vector<std::string>& to) {
    array list;
    if (from.get(list) != simdjson::SUCCESS || list.size() > types_max) return false;
    for (const element one : list) {
        std::string_view type;
        if (!get_string(one, type) || (!type.empty() && !is_plain_text(type, type_octets_max))) return false;
        to.emplace_back(type);
    }
    return true;
}

// Something unknown might be a restriction: it is refused, not passed over.
bool read_grant(object from, channel_grant& to) {
    for (const auto& [name, value] : from) {
        if (name == "types") {
            if (!read_types(value, to.types.emplace())) return false;
            continue;
        }
        permission* const which = name == "consume"   ? &to.consume
                                  : name == "publish" ? &to.publish
                                  : name == "request" ? &to.request
                                                      : nullptr;
        if (!which || !read_permission(value, *which)) return false;
    }
    return true;
}

wrong read_channels(object claims, const claim_rules& rules, verified_token& to) {
    const auto found = claim_at(claims, rules.channels);
    if (!found) return std::nullopt;
    object all;
    if (found->get(all) != simdjson::SUCCESS || all.size() > channels_max) return refusal::bad_channels;
    auto& grants = to.channels.emplace();
    for (const auto& [name, value] : all) {
        object grant;
        channel_grant made{.channel = std::string(name)};
        if (!is_plain_text(name, envelope::channel_bytes_max) || value.get(grant) != simdjson::SUCCESS ||
            !read_grant(grant, made))
            return refusal::bad_channels;
        grants.push_back(std::move(made));
    }
    return std::nullopt;
}

wrong read_groups(object claims, const claim_rules& rules, verified_token& to) {
    const auto found = claim_at(claims, rules.groups);
    if (!found) return std::nullopt;
    array list;
    if (found->get(list) != simdjson::SUCCESS || list.size() > groups_max) return refusal::bad_groups;
    auto& groups = to.groups.emplace();
    for (const element one : list) {
        std::string_view name;
        if (!get_string(one, name) || !is_plain_text(name, group_octets_max)) return refusal::bad_groups;
        groups.emplace_back(name);
    }
    return std::nullopt;
}

wrong read_limits(object claims, const claim_rules& rules, verified_token& to) {
    const auto found = claim_at(claims, rules.limits);
    if (!found) return std::nullopt;
    object all;
    if (found->get(all) != simdjson::SUCCESS || all.size() > limits_max) return refusal::bad_limits;
    for (const auto& [name, value] : all) {
        std::uint64_t number = 0;
        if (!is_plain_text(name, limit_octets_max) || value.get(number) != simdjson::SUCCESS)
            return refusal::bad_limits;
        to.limits.push_back({std::string(name), number});
    }
    return std::nullopt;
}

wrong read_meta(object claims, const claim_rules& rules, verified_token& to) {
    const auto found = claim_at(claims, rules.meta);
    if (!found) return std::nullopt;
    to.meta = simdjson::minify(*found);
    return to.meta.size() > meta_octets_max ? wrong(refusal::meta_too_large) : std::nullopt;
}

}  // namespace

bool permission::allows(std::string_view topic) const noexcept {
    return all ||
           std::ranges::any_of(patterns, [&](const std::string& pattern) { return envelope::matches(pattern, topic); });
}

std::expected<verified_token, refusal> read_claims(object claims, const claim_rules& rules, moment now) {
    verified_token made;
    if (const auto bad = read_times(claims, rules, now, made)) return std::unexpected(*bad);
    if (const auto bad = check_audience(claims, rules)) return std::unexpected(*bad);
    if (const auto bad = read_subject(claims, rules, made)) return std::unexpected(*bad);
    if (const auto bad = read_token_id(claims, made)) return std::unexpected(*bad);
    for (const auto read : {&read_channels, &read_groups, &read_limits, &read_meta})
        if (const auto bad = read(claims, rules, made)) return std::unexpected(*bad);
    made.issuer = string_member(claims, "iss").value_or("");
    return made;
}

}  // namespace foz::identity
