// The head that a proxy puts before a connection's own octets to say whose connection it is: the PROXY protocol,
// versions 1 and 2 (haproxy's proxy-protocol.txt, 2020/03/05). Pure, but for read_proxy_head().
#pragma once

#include "net/shard.hpp"

#include <chrono>
#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <string_view>
#include <system_error>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace foz::net {

using boost::system::error_code;
using tcp = asio::ip::tcp;

enum class proxy_error {
    missing = 1,   // the connection begins with something else
    malformed,     // a line, an address or a TLV that the specification doesn't have
    unsupported,   // another version, command or family
    too_long,      // longer than a line may be, or than proxy_head_bytes_max
    bad_checksum,  // PP2_TYPE_CRC32C doesn't fit
    unexpected,    // a head from an address that none is expected from
};
const boost::system::error_category& proxy_category();
error_code make_error_code(proxy_error error);

// Of a head that is taken, TLVs included. The specification allows 64 KB; what is in use stays below 1 KB, or 4 KB with
// a client's certificate in it.
inline constexpr std::size_t proxy_head_bytes_max = 8 * 1024;

struct proxy_head {
    std::size_t size = 0;  // octets of the head; the connection's own begin behind it
    // The client. Nothing: the connection is the proxy's own (LOCAL), or the proxy doesn't know an IP address of the
    // client (UNKNOWN, AF_UNSPEC, AF_UNIX); the connection's own address then stands.
    std::optional<tcp::endpoint> from;
};

// Nothing: these octets are a beginning, and more are needed. An error is for good.
std::expected<std::optional<proxy_head>, proxy_error> parse_proxy_head(std::string_view octets);

// For who expects no head: whether a connection's first octets begin one, as far as 13 of them tell it; whether they
// are the beginning of version 2's signature, which looks like empty lines at first.
bool begins_with_proxy_head(std::string_view octets);
bool may_begin_proxy_head(std::string_view octets);

// Takes the head from a socket that has just been accepted, and not an octet more. Calls `done` once, on the shard,
// never from inside: with the client's address (or the socket's own, as in proxy_head), or with the reason when there
// is no good head within that time.
void read_proxy_head(shard& home, tcp::socket socket, std::chrono::milliseconds within,
                     std::move_only_function<void(error_code, tcp::socket, tcp::endpoint from)> done);

}  // namespace foz::net

template <>
struct boost::system::is_error_code_enum<foz::net::proxy_error> : std::true_type {};
