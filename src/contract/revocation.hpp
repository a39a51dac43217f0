// Who is not let in any more: the entries of the stream REVOKED, which every aggregator reads whole before it is ready.
#pragma once

#include "amqp/codec/publication.hpp"
#include "amqp/codec/url.hpp"
#include "base/clock.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::contract {

inline constexpr std::string_view revoked_stream = "REVOKED";

// Meant is what fits all that is said; at least one of client, token_id, session and issued_before is.
struct revocation {
    std::string client;
    std::string issuer;  // of a token_id: whose; empty: anybody's
    std::string token_id;
    std::string session;
    std::optional<wall_time> issued_before;  // tokens that were issued before; with a client, that client's
    wall_time until;                         // forgotten then: nothing that is meant is good for longer

    friend bool operator==(const revocation&, const revocation&) = default;
};

// {"until_ms":…} with "client", "issuer", "token_id", "session" and "issued_before_ms" as they are said, times in ms
// since 1970. Nothing when a text is no revocation; members that are not known here are passed over.
std::string to_json(const revocation& what);
std::optional<revocation> parse_revocation(std::string_view json);

// The broker's user that says so: whoever logs in to one of these brokers. Empty: nobody can tell, for they name
// several users, or none, as a certificate does (EXTERNAL).
std::string revoking_user(const std::vector<amqp::url>& brokers);

// Through the default exchange, to the stream; persistent. With `user`, the broker checks that it comes from that user
// (RabbitMQ, "Validated User-ID").
amqp::publication make_publication(const revocation& what, const std::string& message_id, wall_time now,
                                   const std::string& user);

}  // namespace foz::contract
