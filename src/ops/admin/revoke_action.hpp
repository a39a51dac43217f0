// POST /api/tokens/revoke: an operator lets a client, a token or a session in no more.
#pragma once

#include "aggregator/shard/aggregator.hpp"
#include "identity/settings.hpp"
#include "ops/admin/action.hpp"

#include <chrono>
#include <span>

namespace foz::ops {

// How long a revocation has to hold: as long as any token that the issuers have given by now may be good.
std::chrono::milliseconds longest_token_life(std::span<const identity::issuer_settings> issuers);

// {"client":"…"}, perhaps with "issued_before_ms", or that alone, or {"token_id":"…"} with "issuer", or
// {"session":"…"}; and "for_ms". The answer is {"revoked":{…}}, the entry of the stream; status 503 when the broker did
// not take it, 404 where clients have no names.
class revoke_action final : public action {
public:
    // The aggregator outlives it.
    revoke_action(aggregator::aggregator& of, const clock& time, std::chrono::milliseconds usual_life)
        : of_(of), time_(time), usual_life_(usual_life) {}

    std::string_view path() const override { return "tokens/revoke"; }
    void run(const action_arguments& what, std::function<void(action_outcome)> done) override;

private:
    aggregator::aggregator& of_;
    const clock& time_;
    const std::chrono::milliseconds usual_life_;
};

}  // namespace foz::ops
