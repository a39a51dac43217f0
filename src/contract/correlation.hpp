// The correlation of an answer with the client and the request that it belongs to.
#pragma once

#include "base/strong.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace foz::contract {

// An inbound request's correlation_id is `base64url(client):kind.request`. A service copies it, as in any AMQP RPC;
// whichever aggregator holds the client by then can deliver the answer, without any state about the request.
struct correlation {
    enum class request_kind {
        responder,  // request is primus-responder's requestId: answered by a responder frame
        message,    // request is the envelope's id: answered by an `answer` event
        internal,   // a question of an aggregator's own (foz.join); request is a token that it alone knows
    };

    client_id client;
    request_kind kind = request_kind::responder;
    std::string request;

    friend bool operator==(const correlation&, const correlation&) = default;
};

// "r.<request>" and so on: the part behind the client.
std::string request_key(correlation::request_kind kind, std::string_view request);

// At most 255 octets (AMQP's short string) for a client of 128 and a request of 64 octets.
std::string to_string(const correlation& c);

// Nothing when the text was not made by to_string().
std::optional<correlation> parse_correlation(std::string_view text);

}  // namespace foz::contract
