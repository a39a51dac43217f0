// Which certificate a server shows: by the name that the client asks for (SNI, RFC 6066 §3).
#pragma once

#include <string_view>
#include <vector>

#include <boost/asio/ssl/context.hpp>

namespace foz::net {

// Clients of `first` that ask for a name of one of the others' certificates (subjectAltName, exactly or by a wildcard
// of one label, RFC 6125 §6.4.3) get that one; its own names, all other names, and no name get the first one. An exact
// name goes before a wildcard, an earlier certificate before a later one. The others live as long as `first`.
void choose_by_name(boost::asio::ssl::context& first, std::vector<boost::asio::ssl::context> others);

}  // namespace foz::net
