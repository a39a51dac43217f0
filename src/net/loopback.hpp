// Whether an address is this machine's own.
#pragma once

#include <boost/asio/ip/address.hpp>

namespace foz::net {

// 127.0.0.0/8 and ::1, also as an IPv6 socket sees the former (::ffff:127.0.0.1, RFC 4291 §2.5.5.2). Pure.
inline bool is_loopback(const boost::asio::ip::address& from) {
    if (from.is_loopback()) return true;
    return from.is_v6() && from.to_v6().is_v4_mapped() &&
           boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, from.to_v6()).is_loopback();
}

}  // namespace foz::net
