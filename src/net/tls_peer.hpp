// Who the other side of a TLS connection is, by a certificate that was verified.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <openssl/types.h>

namespace foz::net {

// Which name of a certificate counts: the subject's common name, or a subjectAltName of this kind (RFC 5280 §4.2.1.6).
enum class peer_name : std::uint8_t { common_name, dns, email, uri };

// Nothing when the peer has shown no certificate, or one that has no such name or more than one. Of TLS alone.
std::optional<std::string> verified_name(SSL* connection, peer_name kind);

}  // namespace foz::net
