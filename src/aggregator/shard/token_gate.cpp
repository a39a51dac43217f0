#include "aggregator/shard/token_gate.hpp"

#include "aggregator/shard/identity.hpp"
#include "base/wall_time.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::uint64_t keys_retry_ms = 2'000;

client_error refused(identity::refusal why) {
    client_error error{error_code::bad_token, std::string(sentence_of(why)), "token"};
    error.reason = code_of(why);
    if (why == identity::refusal::expired) error.code = error_code::expired;
    if (may_pass(why)) {
        error.code = error_code::unavailable;
        error.retry_after_ms = keys_retry_ms;
    }
    return error;
}

topic_rights granted(const identity::permission& by) {
    return by.all ? topic_rights::everything() : topic_rights(by.patterns);
}

}  // namespace

bool is_open_group(const settings& all, std::string_view name) {
    return std::ranges::any_of(all.channels, [&](const contract::channel_settings& one) {
        return one.groups == contract::groups_kind::open && topic_rights(one.open_groups).allow(name);
    });
}

token_gate::token_gate(const settings& all, std::function<void()> on_fetched)
    : settings_(all), defaults_(default_rights(all.channels)), verifier_(all.issuers, std::move(on_fetched)) {}

std::expected<known_client, client_error> token_gate::check(std::string_view token) const {
    if (settings_.issuers.empty())
        return std::unexpected(client_error{error_code::unsupported, "this aggregator knows no tokens", "token"});
    const auto verified = verifier_.verify(token);
    if (!verified) return std::unexpected(refused(verified.error()));
    if (const auto flaw = flaw_of(*verified)) return std::unexpected(refused(*flaw));
    return known_client{client_id(verified->client), rights_of(*verified)};
}

std::expected<known_client, identity::refusal> token_gate::describe(const identity::verified_token& claims,
                                                                    wall_time now) const {
    if (const auto flaw = flaw_of(claims)) return std::unexpected(*flaw);
    auto rights = rights_of(claims);
    // Its clock may be ahead of ours: a revocation of what was granted before now has to meet it all the same.
    rights->issued = std::min(rights->issued.value_or(now), now);
    rights->any_issuer = rights->issuer.empty();
    rights->by_service = true;
    return known_client{client_id(claims.client), std::move(rights)};
}

// What only the settings can tell.
std::optional<identity::refusal> token_gate::flaw_of(const identity::verified_token& token) const {
    if (!token.client.empty()) {
        if (!is_client_name(token.client)) return identity::refusal::bad_subject;
        if (is_open_group(settings_, token.client)) return identity::refusal::reserved_subject;
    }
    if (!token.limits.empty() && !limits_of(token)) return identity::refusal::bad_limits;
    return std::nullopt;
}

std::shared_ptr<const client_limits> token_gate::limits_of(const identity::verified_token& token) const {
    auto made = std::make_shared<client_limits>(settings_.client);
    for (const auto& [name, value] : token.limits) {
        const auto number = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 1'000'000'000));
        if (name == "frames") {
            made->frames = number;
        } else if (name == "octets") {
            made->octets = number;
        } else if (name == "publishes") {
            made->publishes = number;
        } else if (name == "connections") {
            made->connections = number;
        } else if (name == "requests") {
            made->requests = number;
        } else if (name == "subscriptions") {
            made->subscriptions = number;
        } else {
            return nullptr;
        }
    }
    return made;
}

std::shared_ptr<client_rights> token_gate::rights_of(const identity::verified_token& token) const {
    auto made = std::make_shared<client_rights>();
    made->channels = token.channels ? std::vector<channel_rights>(defaults_.size()) : defaults_;
    if (token.channels)
        for (const identity::channel_grant& grant : *token.channels) {
            const auto at = std::ranges::find(settings_.channels, grant.channel, &contract::channel_settings::name);
            if (at == settings_.channels.end()) continue;
            const auto index = static_cast<std::size_t>(at - settings_.channels.begin());
            made->channels[index] = {.consume = granted(grant.consume),
                                     .publish = granted(grant.publish),
                                     .request = granted(grant.request),
                                     .types = grant.types.value_or(defaults_[index].types)};
        }
    made->groups = token.groups;
    if (made->groups) std::ranges::sort(*made->groups);
    made->meta = token.meta;
    if (!token.limits.empty()) made->limits = limits_of(token);
    made->issuer = token.issuer;
    made->token_id = token.token_id;
    if (token.issued) made->issued = *token.issued;
    if (token.ends) made->ends = as_wall_time(*token.ends);
    return made;
}

}  // namespace foz::aggregator
