// Who calls whom. A state machine without I/O: each step returns what the parties are to be told.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <expected>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace voice {

struct party {
    std::string client;
    std::string session;  // the socket
};

enum class problem { no_such_call, not_your_call, not_reachable, busy };

struct notice {
    enum class kind { ringing, answered, ended, signal };
    kind what;
    std::string to;  // a client, or "session:<id>"
    std::string call;
    std::string from;  // ringing, answered: the other client
    std::string why;   // ended: hangup, declined, cancelled, answered_elsewhere, gone
    friend bool operator==(const notice&, const notice&) = default;
};
using notices = std::vector<notice>;

// A client is in one call at most. What no closing socket ends (an aggregator that was killed says nothing) ends by
// itself: a call that nobody answers after a minute, any other after some hours, and a client's old call when it calls
// somebody from another socket.
class calls {
public:
    using time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds ringing_max{60};
    static constexpr std::chrono::hours talking_max{4};
    static constexpr std::size_t left_max = 10'000;  // clients that left and are remembered

    // A session begins or ends to hear the channel. One that ends ends its call.
    void opened(const party& who);
    notices closed(const party& who);
    bool present(const std::string& client) const;

    // `id` is new. A client of whom nothing is known may be there: this service has begun after it, or has forgotten
    // that it left.
    std::expected<notices, problem> ring(const party& caller, const std::string& callee, const std::string& id,
                                         time now);
    std::expected<notices, problem> answer(const party& callee, const std::string& id);
    // Any socket of the two clients may hang up.
    std::expected<notices, problem> hang_up(const party& who, const std::string& id);
    std::expected<notices, problem> signal(const party& from, const std::string& id) const;

    std::size_t size() const noexcept { return calls_.size(); }
    std::size_t known() const noexcept { return present_.size(); }  // clients: present, or remembered as gone

private:
    struct call {
        party caller;
        party callee;  // no session: it rings at all of the client's
        time since;
        bool talking() const { return !callee.session.empty(); }
    };

    // The call is the caller's on another socket, and ends when the caller rings from this one.
    static bool left_behind(const call& one, const party& caller);
    // Apart from such a call.
    bool busy(const party& caller, const std::string& callee) const;
    void forget_old(time now);
    void remember_left(const std::string& client);
    notices take_over(const party& caller);
    // The callee's sessions that still ring.
    notices stop_ringing(const std::string& id, const call& of, const std::string& but, const std::string& why) const;

    std::map<std::string, call> calls_;
    std::map<std::string, std::set<std::string>> present_;  // sessions by client; an empty set: it has left
    std::deque<std::string> left_;                          // the one that left first is first; it may have come back
};

}  // namespace voice
