// Who hears the other aggregators, so that somebody can say that it has gone when one of them dies. No I/O.
#pragma once

#include "aggregator/feed/peer_message.hpp"
#include "base/clock.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace foz::aggregator {

// What a roster wants done. Called inside its methods.
class roster_output {
public:
    virtual void say(peer_message what) = 0;
    // Services are to be told that these are closed; roster::told_closed() follows.
    virtual void tell_closed(const std::string& whom, const std::set<present_session>& sessions) = 0;
    // The others had given this one up, and services believe that its sessions are closed.
    virtual void tell_opened_again() = 0;

protected:
    ~roster_output() = default;
};

// Each aggregator says a few times in a lease that it lives, and each change of who hears it on channels with presence,
// under a number that counts up: who finds a hole asks for all. One that says nothing for a lease is dead: of those
// that live, the one with the lowest name says to the services that its sessions are closed, under ids that would be
// the same whoever says it, and tells the others that it has. Should that one die before it has, or know
// less than another (it has only just begun), the next one does it.
//
// Nobody is dead for whom nothing could come: a lease counts in heartbeats of our own that have come back, so a broker
// that takes or gives nothing kills nobody. One that comes back after all (its process was stopped) is told that it was
// given up, and says that its sessions are open.
//
// Bounded: so many aggregators, so many sessions of them all; what is beyond is not known, and counted.
class roster {
public:
    static constexpr unsigned beats_in_lease = 4;
    static constexpr std::size_t peers_max = 1'000;
    static constexpr std::size_t sessions_max = 1'000'000;
    static constexpr std::size_t sessions_in_message = 500;

    roster(std::string self, std::chrono::milliseconds lease, roster_output& out);

    // A session of ours. flush() tells the others.
    void note(present_session who, bool here);
    bool has_news() const noexcept { return !news_.empty(); }
    void flush();

    void on_message(const peer_message& what, steady_time now);
    // Once in lease / beats_in_lease: says that we live, and looks who doesn't.
    void on_beat(steady_time now);
    // What the others have said meanwhile was lost.
    void on_attached(steady_time now);
    // `all`: every one of them was confirmed. Otherwise it is tried again.
    void told_closed(const std::string& whom, bool all);

    std::size_t peers() const noexcept { return peers_.size(); }
    std::size_t sessions_known() const noexcept { return sessions_known_; }
    std::uint64_t sessions_not_known() const noexcept { return not_known_; }
    std::uint64_t given_up() const noexcept { return given_up_; }

private:
    struct peer {
        steady_time heard{};
        unsigned beats = 0;  // of ours that came back since
        std::uint64_t seq = 0;
        bool complete = false;  // `sessions` is as of seq
        bool dead = false;
        bool being_told = false;
        bool collecting = false;
        std::set<present_session> sessions;
        std::set<present_session> incoming;  // a snapshot's parts
        std::set<std::string> knew_less;     // have said that it is closed, and did not know everybody whom we know
    };

    void on_own(const peer_message& what);
    void on_presence(peer& of, const peer_message& what);
    void on_snapshot(peer& of, const peer_message& what);
    void ask(const std::string& whom);
    void tell_all(steady_time now);
    void tell_who_died();
    bool is_ours_to_tell(const peer& dead) const;
    void insert(std::set<present_session>& to, const present_session& one);
    void forget(std::map<std::string, peer>::iterator at);

    const std::string self_;
    const std::chrono::milliseconds lease_;
    roster_output& out_;
    std::set<present_session> own_;
    std::map<present_session, bool> news_;  // opened or closed since flush()
    std::uint64_t seq_ = 0;
    std::map<std::string, peer> peers_;
    std::deque<std::string> gone_;  // whose sessions we have said to be closed, the last ones
    bool asked_ = false;            // a snapshot of ours is wanted
    std::size_t sessions_known_ = 0;
    std::uint64_t not_known_ = 0;
    std::uint64_t given_up_ = 0;
};

}  // namespace foz::aggregator
