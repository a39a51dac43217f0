#include "net/tls.hpp"

#include "net/tls_names.hpp"

#include <utility>

namespace foz::net {
namespace {

std::unexpected<std::string> failed(const std::string& file, const boost::system::error_code& error) {
    return std::unexpected("TLS: " + file + ": " + error.message());
}

// AES-128 first: the others are for clients that insist. TLS 1.3 has no others anyway.
constexpr const char* ciphers_1_3 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* ciphers_1_2 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* curves = "X25519:P-256:P-384";

void set_versions(asio::ssl::context& context) {
    SSL_CTX* const own = context.native_handle();
    SSL_CTX_set_min_proto_version(own, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(own, TLS1_3_VERSION);
    SSL_CTX_set_cipher_list(own, ciphers_1_2);
    SSL_CTX_set_ciphersuites(own, ciphers_1_3);
    SSL_CTX_set1_groups_list(own, curves);
    // We choose; a client that names ChaCha20 first has no AES in hardware, and gets it.
    SSL_CTX_set_options(own, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    // Idle connections give their buffers back. A write that would block is repeated from other memory.
    SSL_CTX_set_mode(own,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // Sessions are resumed from tickets: nothing has to be kept for clients that have gone.
    SSL_CTX_set_session_cache_mode(own, SSL_SESS_CACHE_OFF);
}

std::expected<void, std::string> use_certificate(asio::ssl::context& context, const std::string& certificate,
                                                 const std::string& key) {
    boost::system::error_code error;
    context.use_certificate_chain_file(certificate, error);
    if (error) return failed(certificate, error);
    context.use_private_key_file(key, asio::ssl::context::pem, error);
    if (error) return failed(key, error);
    return {};
}

}  // namespace

std::expected<asio::ssl::context, std::string> make_tls_context(const tls_client_options& options) {
    asio::ssl::context context(asio::ssl::context::tls_client);
    set_versions(context);
    boost::system::error_code error;
    if (options.ca_file.empty()) {
        context.set_default_verify_paths(error);
        if (error) return failed("the system's certificates", error);
    } else {
        context.load_verify_file(options.ca_file, error);
        if (error) return failed(options.ca_file, error);
    }
    context.set_verify_mode(options.verify ? asio::ssl::verify_peer : asio::ssl::verify_none);
    if (options.certificate_file.empty()) return context;
    if (auto used = use_certificate(context, options.certificate_file, options.key_file); !used)
        return std::unexpected(used.error());
    return context;
}

namespace {

std::expected<asio::ssl::context, std::string> make_server_context(const tls_server_options& options,
                                                                   const tls_files& files) {
    asio::ssl::context context(asio::ssl::context::tls_server);
    set_versions(context);
    if (auto used = use_certificate(context, files.certificate_file, files.key_file); !used)
        return std::unexpected(used.error());
    boost::system::error_code error;
    // A resumed session is that of the same server, or OpenSSL ends it.
    static constexpr unsigned char name[] = "foz";
    SSL_CTX_set_session_id_context(context.native_handle(), name, sizeof(name) - 1);
    if (options.client_ca_file.empty()) return context;
    context.load_verify_file(options.client_ca_file, error);
    if (error) return failed(options.client_ca_file, error);
    context.set_verify_mode(options.client_certificate_required
                                ? asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert
                                : asio::ssl::verify_peer);
    // Whom clients with several certificates choose one for. The context takes the list.
    SSL_CTX_set_client_CA_list(context.native_handle(), SSL_load_client_CA_file(options.client_ca_file.c_str()));
    return context;
}

}  // namespace

std::expected<asio::ssl::context, std::string> make_tls_context(const tls_server_options& options) {
    auto first = make_server_context(options, {options.certificate_file, options.key_file});
    if (!first || options.more.empty()) return first;
    std::vector<asio::ssl::context> others;
    for (const tls_files& files : options.more) {
        auto other = make_server_context(options, files);
        if (!other) return other;
        others.push_back(std::move(*other));
    }
    choose_by_name(*first, std::move(others));
    return first;
}

}  // namespace foz::net
