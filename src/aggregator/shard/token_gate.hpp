// Whose token a client shows, and what it may do here.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "aggregator/session/client_rights.hpp"
#include "aggregator/settings.hpp"
#include "identity/verifier.hpp"

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// Whether a group that is open to anyone may have this name: then it can't be a client's.
bool is_open_group(const settings& all, std::string_view name);

// One for a process; any thread.
class token_gate {
public:
    // Throws std::runtime_error, one line, when an issuer's secret or file can't be used. The settings outlive it.
    // `on_fetched`: keys have been fetched, or could not be; on a thread of the verifier's.
    explicit token_gate(const settings& all, std::function<void()> on_fetched = {});

    // bad_token with its reason, or expired; or, with a time to come back after, unavailable: keys may come that the
    // token was signed with, or its time.
    std::expected<known_client, client_error> check(std::string_view token) const;
    // A client as a connect service describes it: without a subject nobody in particular (known_client). Its rights
    // are of this moment when the claims don't say otherwise.
    std::expected<known_client, identity::refusal> describe(const identity::verified_token& claims,
                                                            wall_time now) const;
    std::vector<identity::key_state> keys() const { return verifier_.states(); }

private:
    std::optional<identity::refusal> flaw_of(const identity::verified_token& token) const;
    std::shared_ptr<client_rights> rights_of(const identity::verified_token& token) const;
    // Null when there is one that is not known: it might be a restriction.
    std::shared_ptr<const client_limits> limits_of(const identity::verified_token& token) const;

    const settings& settings_;
    const std::vector<channel_rights> defaults_;
    identity::verifier verifier_;
};

}  // namespace foz::aggregator
