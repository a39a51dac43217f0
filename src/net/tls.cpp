#include "net/tls.hpp"

#include <memory>

#include <openssl/x509.h>

namespace foz::net {
namespace {

std::unexpected<std::string> failed(const std::string& file, const boost::system::error_code& error) {
    return std::unexpected("TLS: " + file + ": " + error.message());
}

void set_versions(asio::ssl::context& context) {
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    // Idle connections give their buffers back. A write that would block is repeated from other memory.
    SSL_CTX_set_mode(context.native_handle(),
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_RENEGOTIATION);
    // Sessions are resumed from tickets: nothing has to be kept for clients that have gone.
    SSL_CTX_set_session_cache_mode(context.native_handle(), SSL_SESS_CACHE_OFF);
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
    return context;
}

std::expected<asio::ssl::context, std::string> make_tls_context(const tls_server_options& options) {
    asio::ssl::context context(asio::ssl::context::tls_server);
    set_versions(context);
    boost::system::error_code error;
    context.use_certificate_chain_file(options.certificate_file, error);
    if (error) return failed(options.certificate_file, error);
    context.use_private_key_file(options.key_file, asio::ssl::context::pem, error);
    if (error) return failed(options.key_file, error);
    if (options.client_ca_file.empty()) return context;
    context.load_verify_file(options.client_ca_file, error);
    if (error) return failed(options.client_ca_file, error);
    context.set_verify_mode(asio::ssl::verify_peer);
    // Whom clients with several certificates choose one for. The context takes the list.
    SSL_CTX_set_client_CA_list(context.native_handle(), SSL_load_client_CA_file(options.client_ca_file.c_str()));
    // A resumed session is that of the same server, or OpenSSL ends it.
    static constexpr unsigned char name[] = "foz";
    SSL_CTX_set_session_id_context(context.native_handle(), name, sizeof(name) - 1);
    return context;
}

std::optional<std::string> verified_common_name(SSL* connection) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(connection), &X509_free);
    if (!certificate || SSL_get_verify_result(connection) != X509_V_OK) return std::nullopt;
    X509_NAME* const subject = X509_get_subject_name(certificate.get());
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return std::nullopt;
    unsigned char* octets = nullptr;
    const int size = ASN1_STRING_to_UTF8(&octets, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) return std::nullopt;
    std::string name(reinterpret_cast<const char*>(octets), static_cast<std::size_t>(size));
    OPENSSL_free(octets);
    return name;
}

}  // namespace foz::net
