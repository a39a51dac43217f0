// TLS contexts with the settings that both ends of Foz use: TLS 1.2 and 1.3, a key exchange of ephemeral elliptic
// curves alone, and AEAD ciphers (RFC 9325 §4.2, §7.1); no renegotiation, no compression. A server chooses.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>

namespace foz::net {

namespace asio = boost::asio;

class tls_client_contexts;

struct tls_client_options {
    std::string ca_file;      // PEM; empty: the system's certificates
    std::string server_name;  // for SNI and the certificate's host name; empty: the host that is connected to
    bool verify = true;       // false accepts any certificate: for tests on loopback only
    // PEM: our own certificate, with its chain, and its key; empty: none is shown.
    std::string certificate_file{};
    std::string key_file{};
    // Whence connections get their context, made from the files above. Null: each one reads them for itself.
    std::shared_ptr<tls_client_contexts> contexts{};
};

struct tls_files {
    std::string certificate_file;  // PEM, the chain with the server's own certificate first
    std::string key_file;          // PEM
};

struct tls_server_options {
    std::string certificate_file;  // PEM, the chain with the server's own certificate first
    std::string key_file;          // PEM
    // PEM; clients are asked for a certificate that one of these has signed: without any they get in, with another one
    // they do not. Empty: they are not asked.
    std::string client_ca_file{};
    // Without any they don't get in.
    bool client_certificate_required = false;
    // Further certificates, for clients that ask for one of their names (choose_by_name()).
    std::vector<tls_files> more{};
};

// The error is one line that names the file and OpenSSL's reason.
std::expected<asio::ssl::context, std::string> make_tls_context(const tls_client_options& options);
std::expected<asio::ssl::context, std::string> make_tls_context(const tls_server_options& options);

}  // namespace foz::net
