// The correlation of an answer with the client and the request that it belongs to.
#pragma once

#include "base/strong.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace foz::contract {

// An inbound request's correlation_id names its client and what was asked. A service copies it, as in any AMQP RPC;
// whichever aggregator holds the client by then can deliver the answer, without any state about the request.
//   base64url(client):m.<request>                                   message, internal (i)
//   base64url(client):d.<device>.<request>                          message of one of the client's devices
//   base64url(client):r.<socket>.<length of request, 2 digits><request><id>   responder
struct correlation {
    enum class request_kind {
        responder,  // request is primus-responder's requestId: answered by a responder frame
        message,    // request is the envelope's id: answered by an `answer` event
        internal,   // a question of an aggregator's own (foz.join); request is a token that it alone knows
    };

    client_id client;
    request_kind kind = request_kind::responder;
    std::string request;
    // Of a responder request: tells sockets of a client apart that count their requests, and the envelope's id. Not
    // needed to deliver the answer.
    std::string socket = {};
    std::string id = {};
    // Of a message: tells a client's devices apart, whose ids count by themselves; empty: all of them are meant.
    std::string device = {};

    friend bool operator==(const correlation&, const correlation&) = default;
};

// The part of a session's id that stands in its correlations.
std::string_view socket_mark(std::string_view session) noexcept;

// At most 255 octets (AMQP's short string) for a client of 128, a device of 8 and a request of 64 octets: an id for
// which there is no room is left out.
std::string to_string(const correlation& c);

// Nothing when the text was not made by to_string().
std::optional<correlation> parse_correlation(std::string_view text);

}  // namespace foz::contract
