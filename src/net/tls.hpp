// TLS contexts with the settings that both ends of Foz use: TLS 1.2 and later, OpenSSL's default ciphers.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include <boost/asio/ssl/context.hpp>

namespace foz::net {

namespace asio = boost::asio;

struct tls_client_options {
    std::string ca_file;      // PEM; empty: the system's certificates
    std::string server_name;  // for SNI and the certificate's host name; empty: the host that is connected to
    bool verify = true;       // false accepts any certificate: for tests on loopback only
};

struct tls_server_options {
    std::string certificate_file;  // PEM, the chain with the server's own certificate first
    std::string key_file;          // PEM
    // PEM; clients are asked for a certificate that one of these has signed: without any they get in, with another one
    // they do not. Empty: they are not asked.
    std::string client_ca_file{};
};

// The error is one line that names the file and OpenSSL's reason.
std::expected<asio::ssl::context, std::string> make_tls_context(const tls_client_options& options);
std::expected<asio::ssl::context, std::string> make_tls_context(const tls_server_options& options);

// The common name in the certificate of a peer that was verified. Nothing when there is none, or more than one.
std::optional<std::string> verified_common_name(SSL* connection);

}  // namespace foz::net
