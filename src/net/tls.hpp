// TLS contexts with the settings that both ends of Foz use: TLS 1.2 and later, OpenSSL's default ciphers.
#pragma once

#include <expected>
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
};

// The error is one line that names the file and OpenSSL's reason.
std::expected<asio::ssl::context, std::string> make_tls_context(const tls_client_options& options);
std::expected<asio::ssl::context, std::string> make_tls_context(const tls_server_options& options);

}  // namespace foz::net
