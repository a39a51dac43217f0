#include "calls.hpp"

#include <algorithm>
#include <string_view>

namespace voice {
namespace {

using kind = notice::kind;

constexpr std::string_view socket_prefix = "session:";

std::string socket(const std::string& session) {
    return std::string(socket_prefix) + session;
}

std::string socket(const party& who) {
    return socket(who.session);
}

notice ended(const std::string& to, const std::string& id, const std::string& why) {
    return {.what = kind::ended, .to = to, .call = id, .from = {}, .why = why};
}

}  // namespace

bool calls::left_behind(const call& one, const party& caller) {
    const auto elsewhere = [&](const party& side) {
        return side.client == caller.client && side.session != caller.session;
    };
    return elsewhere(one.caller) || (one.talking() && elsewhere(one.callee));
}

bool calls::busy(const party& caller, const std::string& callee) const {
    return std::any_of(calls_.begin(), calls_.end(), [&](const auto& item) {
        const call& one = item.second;
        const auto in = [&](const std::string& client) {
            return one.caller.client == client || one.callee.client == client;
        };
        return !left_behind(one, caller) && (in(caller.client) || in(callee));
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
    if (sessions.empty()) remember_left(who.client);
    return told;
}

bool calls::present(const std::string& client) const {
    const auto known = present_.find(client);
    return known != present_.end() && !known->second.empty();
}

void calls::remember_left(const std::string& client) {
    left_.push_back(client);
    if (left_.size() <= left_max) return;
    const auto oldest = present_.find(left_.front());
    if (oldest != present_.end() && oldest->second.empty()) present_.erase(oldest);
    left_.pop_front();
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
        const bool ends = left_behind(one, caller);
        if (ends && one.caller.client == caller.client)
            told.push_back(ended(one.talking() ? socket(one.callee) : one.callee.client, id, "gone"));
        else if (ends)
            told.push_back(ended(socket(one.caller), id, "gone"));
        at = ends ? calls_.erase(at) : std::next(at);
    }
    return told;
}

std::expected<notices, problem> calls::ring(const party& caller, const std::string& callee, const std::string& id,
                                            time now) {
    forget_old(now);
    const auto known = present_.find(callee);
    // A socket would ring, and its client could not answer.
    if (callee.starts_with(socket_prefix) || callee == caller.client ||
        (known != present_.end() && known->second.empty()))
        return std::unexpected(problem::not_reachable);
    if (busy(caller, callee)) return std::unexpected(problem::busy);
    notices told = take_over(caller);
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
        if (session != but) told.push_back(ended(socket(session), id, why));
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
        if (callers) told.push_back(ended(one.callee.client, id, why));
        if (!callers) told = stop_ringing(id, one, who.session, why);
        if (one.caller.session != who.session) told.push_back(ended(socket(one.caller), id, why));
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
