// How a client came to a proxy that is believed. Pure.
#pragma once

#include "net/network_list.hpp"
#include "ws/conn/http.hpp"

#include <string>

#include <boost/asio/ip/address.hpp>

namespace foz::ws {

// Which header fields proxies set; the other kind is never looked at, since a proxy that does not know it passes on
// what its clients say.
enum class forwarding : std::uint8_t { x_forwarded, rfc_7239 };

// How a request was made, as the client did it.
struct request_origin {
    bool secure = false;  // over TLS
    std::string host;     // as http_request::host
};

// What the nearest proxy says: the last value of X-Forwarded-Proto and X-Forwarded-Host, or the last element of
// Forwarded (RFC 7239 §4). What it does not say, or what is not well-formed, stays as it is in `direct`.
request_origin as_forwarded(const http_request& request, forwarding kind, request_origin direct);

// Who made a request: `peer`, unless that is one of the proxies. Then what X-Forwarded-For, or the for= of Forwarded,
// says is walked from its end, where the nearest proxy has written, to the first address that is no proxy. What is no
// address (RFC 7239 §6: "unknown", obfuscated names; nonsense) ends the walk: who wrote it is believed, but doesn't
// know more, and the proxy before it stands for the client. Ports don't count.
boost::asio::ip::address client_address(const http_request& request, forwarding kind,
                                        const boost::asio::ip::address& peer, const net::network_list& proxies);

}  // namespace foz::ws
