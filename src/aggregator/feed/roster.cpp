#include "aggregator/feed/roster.hpp"

#include <algorithm>

namespace foz::aggregator {
namespace {

constexpr std::size_t gone_max = 1'000;
// Somebody else is to say that it has gone, and does not: it is forgotten then.
constexpr unsigned leases_kept = 10;

}  // namespace

roster::roster(std::string self, std::chrono::milliseconds lease, roster_output& out)
    : self_(std::move(self)), lease_(lease), out_(out) {}

void roster::note(present_session who, bool here) {
    // What comes and goes between two flushes was never there.
    if (const auto at = news_.find(who); at != news_.end() && at->second != here) {
        news_.erase(at);
    } else {
        news_.insert_or_assign(who, here);
    }
    if (here) {
        own_.insert(std::move(who));
    } else {
        own_.erase(who);
    }
}

void roster::flush() {
    while (!news_.empty()) {
        peer_message change{.what = peer_message::kind::presence, .from = self_, .seq = ++seq_};
        for (std::size_t i = 0; i < sessions_in_message && !news_.empty(); ++i) {
            auto one = news_.extract(news_.begin());
            (one.mapped() ? change.opened : change.closed).push_back(std::move(one.key()));
        }
        out_.say(std::move(change));
    }
}

void roster::on_message(const peer_message& what, steady_time now) {
    using kind = peer_message::kind;
    if (what.from == self_) return on_own(what);
    if (what.what == kind::leaving) {
        if (const auto at = peers_.find(what.from); at != peers_.end()) forget(at);
        return;
    }
    auto at = peers_.find(what.from);
    if (at == peers_.end()) {
        if (peers_.size() == peers_max) return;
        at = peers_.try_emplace(what.from).first;
        // It has come back after all.
        if (const auto gone = std::ranges::find(gone_, what.from); gone != gone_.end()) {
            gone_.erase(gone);
            out_.say({.what = kind::closed, .from = self_, .whom = what.from});
        }
    }
    peer& of = at->second;
    of.heard = now;
    of.beats = 0;
    of.dead = false;
    of.knew_less.clear();
    switch (what.what) {
        case kind::alive:
            // One that nobody hears has nothing to tell.
            if (what.seq == 0) of.complete = true;
            if (!of.complete || what.seq != of.seq) {
                of.complete = false;
                ask(what.from);
            }
            break;
        case kind::presence:
            on_presence(of, what);
            break;
        case kind::snapshot:
            on_snapshot(of, what);
            break;
        case kind::ask:
            asked_ |= what.whom == self_;
            break;
        case kind::closed:
            if (what.whom == self_) {
                out_.tell_opened_again();
            } else if (const auto whom = peers_.find(what.whom); whom != peers_.end()) {
                // Whom it did not know somebody else has to tell.
                peer& dead = whom->second;
                const bool more = dead.complete && !dead.sessions.empty() && (!what.last || what.seq < dead.seq);
                if (more) {
                    dead.knew_less.insert(what.from);
                } else {
                    forget(whom);
                }
            }
            break;
        case kind::leaving:
        case kind::told:
            break;
    }
}

// A heartbeat of ours that comes back shows that the others' would have come.
void roster::on_own(const peer_message& what) {
    if (what.what != peer_message::kind::alive) return;
    for (auto& [name, one] : peers_) ++one.beats;
}

void roster::on_presence(peer& of, const peer_message& what) {
    if (what.seq <= of.seq && of.complete) return;  // said twice
    if (what.seq != of.seq + 1 || !of.complete) {
        of.complete = false;  // the next heartbeat asks
        return;
    }
    of.seq = what.seq;
    for (const present_session& one : what.opened) insert(of.sessions, one);
    for (const present_session& one : what.closed) sessions_known_ -= of.sessions.erase(one);
}

void roster::on_snapshot(peer& of, const peer_message& what) {
    if (what.first) {
        sessions_known_ -= of.incoming.size();
        of.incoming.clear();
        of.collecting = true;
    }
    if (!of.collecting) return;
    for (const present_session& one : what.opened) insert(of.incoming, one);
    if (!what.last) return;
    of.collecting = false;
    sessions_known_ -= of.sessions.size();
    of.sessions = std::move(of.incoming);
    of.incoming.clear();
    of.seq = what.seq;
    of.complete = true;
}

void roster::insert(std::set<present_session>& to, const present_session& one) {
    if (sessions_known_ >= sessions_max) {
        ++not_known_;
        return;
    }
    sessions_known_ += to.insert(one).second;
}

void roster::forget(std::map<std::string, peer>::iterator at) {
    sessions_known_ -= at->second.sessions.size() + at->second.incoming.size();
    peers_.erase(at);
}

void roster::ask(const std::string& whom) {
    out_.say({.what = peer_message::kind::ask, .from = self_, .whom = whom});
}

// In one piece: nothing of ours comes between its parts.
void roster::tell_all(steady_time) {
    flush();
    auto next = own_.begin();
    bool first = true;
    do {
        peer_message part{.what = peer_message::kind::snapshot, .from = self_, .seq = seq_, .first = first};
        first = false;
        for (std::size_t i = 0; i < sessions_in_message && next != own_.end(); ++i) part.opened.push_back(*next++);
        part.last = next == own_.end();
        out_.say(std::move(part));
    } while (next != own_.end());
}

void roster::on_attached(steady_time now) {
    for (auto& [name, one] : peers_) {
        one.heard = now;
        one.beats = 0;
        one.complete = false;
        one.collecting = false;
    }
}

void roster::on_beat(steady_time now) {
    flush();
    if (std::exchange(asked_, false)) tell_all(now);
    out_.say({.what = peer_message::kind::alive, .from = self_, .seq = seq_});
    for (auto at = peers_.begin(); at != peers_.end();) {
        peer& one = at->second;
        const auto silence = now - one.heard;
        if (!one.dead && one.beats >= beats_in_lease && silence >= lease_) {
            one.dead = true;
            ++given_up_;
        }
        const auto next = std::next(at);
        if (one.dead && !one.being_told && silence >= leases_kept * lease_) forget(at);
        at = next;
    }
    tell_who_died();
}

bool roster::is_ours_to_tell(const peer& dead) const {
    return std::ranges::none_of(peers_, [&](const auto& one) {
        return !one.second.dead && one.first < self_ && !dead.knew_less.contains(one.first);
    });
}

void roster::tell_who_died() {
    std::vector<std::string> dead;
    for (auto& [name, one] : peers_)
        if (one.dead && is_ours_to_tell(one) && !std::exchange(one.being_told, true)) dead.push_back(name);
    // It may be forgotten at once.
    for (const std::string& name : dead) out_.tell_closed(name, peers_.at(name).sessions);
}

void roster::told_closed(const std::string& whom, bool all) {
    const auto at = peers_.find(whom);
    if (at == peers_.end()) return;  // somebody else has told it, too
    peer& of = at->second;
    of.being_told = false;
    if (!all) return;
    // One that has come back meanwhile is told all the same: its sessions were said to be closed.
    out_.say({.what = peer_message::kind::closed, .from = self_, .whom = whom, .seq = of.seq, .last = of.complete});
    if (!of.dead) return;
    forget(at);
    gone_.push_back(whom);
    if (gone_.size() > gone_max) gone_.pop_front();
}

}  // namespace foz::aggregator
