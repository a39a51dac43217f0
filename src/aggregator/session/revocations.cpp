#include "aggregator/session/revocations.hpp"

#include <algorithm>
#include <chrono>

namespace foz::aggregator {
namespace {

constexpr std::chrono::minutes forget_interval{1};

}  // namespace

bool revocations::meets(const revocation& one, std::string_view client, std::string_view session,
                        const client_rights& rights) {
    if (!one.session.empty()) return one.session == session;
    if (!one.token_id.empty())
        return one.token_id == rights.token_id && (one.issuer.empty() || one.issuer == rights.issuer);
    if (!one.client.empty() && one.client != client) return false;
    if (one.issued_before) return rights.granted_before(*one.issued_before);
    return true;
}

bool revocations::add(const revocation& what, wall_time now) {
    forget(now);
    if (what.until <= now) return true;
    if (size() >= entries_max) return false;
    if (next_ == wall_time()) next_ = now + forget_interval;
    if (!what.session.empty()) {
        auto& until = sessions_[what.session];
        until = std::max(until, what.until);
    } else if (!what.token_id.empty()) {
        auto& until = tokens_[{what.issuer, what.token_id}];
        until = std::max(until, what.until);
    } else {
        const auto [at, fresh] = clients_.try_emplace(what.client, bound{what.issued_before, what.until});
        if (fresh) return true;
        // A client that is revoked altogether stays so; else the later time holds.
        if (!what.issued_before || !at->second.before) at->second.before.reset();
        if (at->second.before) at->second.before = std::max(*at->second.before, *what.issued_before);
        at->second.until = std::max(at->second.until, what.until);
    }
    return true;
}

bool revocations::meets(std::string_view client, std::string_view session, const client_rights& rights) const {
    if (size() == 0) return false;
    if (sessions_.contains(session)) return true;
    if (!rights.token_id.empty() &&
        (tokens_.contains({rights.issuer, rights.token_id}) || tokens_.contains({std::string(), rights.token_id})))
        return true;
    for (const std::string_view name : {client, std::string_view()}) {
        const auto at = clients_.find(name);
        if (at == clients_.end()) continue;
        const auto& before = at->second.before;
        if (!before || rights.granted_before(*before)) return true;
    }
    return false;
}

void revocations::forget(wall_time now) {
    if (next_ == wall_time() || now < next_) return;
    next_ = now + forget_interval;
    std::erase_if(clients_, [&](const auto& one) { return one.second.until <= now; });
    std::erase_if(tokens_, [&](const auto& one) { return one.second <= now; });
    std::erase_if(sessions_, [&](const auto& one) { return one.second <= now; });
}

}  // namespace foz::aggregator
