// What aggregators tell each other through the exchange INTERNAL. No I/O.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// A session that hears a channel whose service wants to know.
struct present_session {
    std::string channel;
    std::string client;
    std::string session;
    friend auto operator<=>(const present_session&, const present_session&) = default;
};

// One JSON object. Aggregators of several versions live together during an upgrade: unknown kinds, unknown members and
// other versions are passed over.
//   {"v":1,"from":"<instance>","kind":"alive","seq":7}
//   {"v":1,"from":"<instance>","kind":"presence","seq":8,"opened":[["<channel>","<client>","<session>"]],"closed":[]}
//   {"v":1,"from":"<instance>","kind":"ask","whom":"<instance>"}
//   {"v":1,"from":"<instance>","kind":"snapshot","seq":8,"first":true,"last":true,"opened":[…]}
//   {"v":1,"from":"<instance>","kind":"leaving"}
//   {"v":1,"from":"<instance>","kind":"closed","whom":"<instance>","seq":8,"last":true}   as of seq; last: all of them
//   {"v":1,"from":"<instance>","kind":"told","client":"<client>","request":"<requestId>","json":"<event>"}
struct peer_message {
    enum class kind : std::uint8_t {
        alive,     // I live, and have told so many changes
        presence,  // the next change of who hears me
        ask,       // tell me everything about yourself
        snapshot,  // all who hear me, in parts
        leaving,   // I end in good order: forget me
        closed,    // I have told the services that the sessions of this one are closed
        told,      // a client has been told this and may not have heard it
    };

    kind what = kind::alive;
    std::string from;
    std::string whom = {};
    std::uint64_t seq = 0;
    std::vector<present_session> opened = {};
    std::vector<present_session> closed = {};
    bool first = false;
    bool last = false;
    std::string client = {};
    std::string request = {};  // primus-responder's; empty: a plain event
    std::string json = {};
    std::string device = {};  // whose; empty: the client is nobody in particular, or has not said it
};

std::string to_json(const peer_message& what);
// Nothing when it is of another version or kind, or not well made.
std::optional<peer_message> parse_peer_message(std::string_view body);

}  // namespace foz::aggregator
