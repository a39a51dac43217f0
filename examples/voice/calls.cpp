#include "calls.hpp"

#include <algorithm>

namespace voice {
namespace {

using kind = notice::kind;

std::string socket(const party& who) {
    return "session:" + who.session;
}

notice ended(const std::string& to, const std::string& id, const std::string& why) {
    return {.what = kind::ended, .to = to, .call = id, .from = {}, .why = why};
}

}  // namespace

bool calls::in_call(const std::string& client) const {
    return std::any_of(calls_.begin(), calls_.end(), [&](const auto& item) {
        return item.second.caller.client == client || item.second.callee.client == client;
    });
}

void calls::opened(const party& who) {
    present_[who.client].insert(who.session);
}

notices calls::closed(const party& who) {
    auto& sessions = present_[who.client];
    sessions.erase(who.session);
    notices told;
    for (auto at = calls_.begin(); at != calls_.end();) {
        const auto& [id, one] = *at;
        const bool callers = one.caller.session == who.session;
        const bool callees =
            one.talking() ? one.callee.session == who.session : one.callee.client == who.client && sessions.empty();
        if (callers) told.push_back(ended(one.talking() ? socket(one.callee) : one.callee.client, id, "gone"));
        if (callees && !callers) told.push_back(ended(socket(one.caller), id, "gone"));
        at = callers || callees ? calls_.erase(at) : std::next(at);
    }
    return told;
}

void calls::forget_old(time now) {
    std::erase_if(calls_, [&](const auto& item) {
        const call& one = item.second;
        return now - one.since > (one.talking() ? std::chrono::seconds(talking_max) : ringing_max);
    });
}

notices calls::take_over(const party& caller) {
    notices told;
    for (auto at = calls_.begin(); at != calls_.end();) {
        const auto& [id, one] = *at;
        const bool callers = one.caller.client == caller.client && one.caller.session != caller.session;
        const bool callees =
            one.talking() && one.callee.client == caller.client && one.callee.session != caller.session;
        if (callers) told.push_back(ended(one.talking() ? socket(one.callee) : one.callee.client, id, "gone"));
        if (callees) told.push_back(ended(socket(one.caller), id, "gone"));
        at = callers || callees ? calls_.erase(at) : std::next(at);
    }
    return told;
}

std::expected<notices, problem> calls::ring(const party& caller, const std::string& callee, const std::string& id,
                                            time now) {
    forget_old(now);
    const auto known = present_.find(callee);
    if (callee == caller.client || (known != present_.end() && known->second.empty()))
        return std::unexpected(problem::not_reachable);
    notices told = take_over(caller);
    if (in_call(caller.client) || in_call(callee)) return std::unexpected(problem::busy);
    calls_.emplace(id, call{.caller = caller, .callee = {.client = callee, .session = {}}, .since = now});
    told.push_back({.what = kind::ringing, .to = callee, .call = id, .from = caller.client, .why = {}});
    return told;
}

notices calls::stop_ringing(const std::string& id, const call& of, const std::string& but,
                            const std::string& why) const {
    notices told;
    const auto known = present_.find(of.callee.client);
    if (known == present_.end()) return told;
    for (const std::string& session : known->second)
        if (session != but) told.push_back(ended("session:" + session, id, why));
    return told;
}

std::expected<notices, problem> calls::answer(const party& callee, const std::string& id) {
    const auto at = calls_.find(id);
    if (at == calls_.end()) return std::unexpected(problem::no_such_call);
    call& one = at->second;
    if (one.callee.client != callee.client || one.talking()) return std::unexpected(problem::not_your_call);
    notices told = stop_ringing(id, one, callee.session, "answered_elsewhere");
    one.callee = callee;
    told.push_back({.what = kind::answered, .to = socket(one.caller), .call = id, .from = callee.client, .why = {}});
    return told;
}

std::expected<notices, problem> calls::hang_up(const party& who, const std::string& id) {
    const auto at = calls_.find(id);
    if (at == calls_.end()) return std::unexpected(problem::no_such_call);
    const call one = at->second;
    const bool callers = one.caller.client == who.client;
    if (!callers && one.callee.client != who.client) return std::unexpected(problem::not_your_call);
    calls_.erase(at);
    notices told;
    if (!one.talking()) {
        const std::string why = callers ? "cancelled" : "declined";
        if (callers) return notices{ended(one.callee.client, id, why)};
        told = stop_ringing(id, one, who.session, why);
        told.push_back(ended(socket(one.caller), id, why));
        return told;
    }
    for (const party& side : {one.caller, one.callee})
        if (side.session != who.session) told.push_back(ended(socket(side), id, "hangup"));
    return told;
}

std::expected<notices, problem> calls::signal(const party& from, const std::string& id) const {
    const auto at = calls_.find(id);
    if (at == calls_.end()) return std::unexpected(problem::no_such_call);
    const call& one = at->second;
    const bool callers = one.caller.session == from.session;
    if (!one.talking() || (!callers && one.callee.session != from.session))
        return std::unexpected(problem::not_your_call);
    return notices{{.what = kind::signal,
                    .to = callers ? socket(one.callee) : socket(one.caller),
                    .call = id,
                    .from = {},
                    .why = {}}};
}

}  // namespace voice
