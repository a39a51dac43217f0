#include "ops/admin/revoke_action.hpp"

#include "contract/revocation.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace foz::ops {

using std::chrono::milliseconds;

namespace {
constexpr long long before_ms_max = 9'000'000'000'000;  // in the year 2255: what the clock can tell
}

milliseconds longest_token_life(std::span<const identity::issuer_settings> issuers) {
    constexpr std::chrono::hours unlimited{24 * 365};
    milliseconds longest{0};
    for (const identity::issuer_settings& one : issuers) {
        const milliseconds life = one.lifetime_max.count() == 0 ? unlimited : one.lifetime_max;
        longest = std::max(longest, life + 2 * one.leeway);
    }
    return longest.count() == 0 ? unlimited : longest;
}

void revoke_action::run(const action_arguments& what, std::function<void(action_outcome)> done) {
    const auto wrong = [&](std::string text) { done({.status = 400, .target = {}, .answer = std::move(text)}); };
    if (std::string flaw = what.flaw({"client", "issuer", "token_id", "session", "#issued_before_ms", "#for_ms"});
        !flaw.empty())
        return wrong(std::move(flaw));
    // A script's empty variable must not mean everybody.
    for (const char* const name : {"client", "issuer", "token_id", "session"})
        if (const auto text = what.text(name); text && text->empty())
            return wrong(std::string(name) + ": must not be empty");
    contract::revocation made{.client = what.text("client").value_or(""),
                              .issuer = what.text("issuer").value_or(""),
                              .token_id = what.text("token_id").value_or(""),
                              .session = what.text("session").value_or(""),
                              .issued_before = std::nullopt,
                              .until = {}};
    const auto before = what.number("issued_before_ms");
    if (before && (*before < 0 || *before > before_ms_max))
        return wrong("issued_before_ms: milliseconds since 1970 are expected");
    if (before) made.issued_before = wall_time(milliseconds(*before));
    const bool by_client = !made.client.empty() || made.issued_before.has_value();
    if (by_client + !made.token_id.empty() + !made.session.empty() != 1)
        return wrong("one of client, token_id, session and issued_before_ms is expected, or client with the last");
    if (!made.issuer.empty() && made.token_id.empty()) return wrong("issuer says whose token_id it is");
    const long long life = what.number("for_ms").value_or(usual_life_.count());
    if (life <= 0 || life > milliseconds(std::chrono::hours(24 * 3650)).count())
        return wrong("for_ms: more than 0, and ten years at most, expected");
    made.until = time_.wall_now() + milliseconds(life);
    std::string entry = contract::to_json(made);
    of_.revoke(made, [entry = std::move(entry), done = std::move(done)](amqp::outcome result) {
        if (result == amqp::outcome::confirmed) return done({.target = entry, .answer = "{\"revoked\":" + entry + "}"});
        if (result == amqp::outcome::invalid)
            return done(
                {.status = 404, .target = entry, .answer = "clients have no names here: nobody can be revoked"});
        done({.status = 503, .target = entry, .answer = "the broker did not confirm it: please try again"});
    });
}

}  // namespace foz::ops
