#include "net/tls.hpp"

namespace foz::net {
namespace {

std::unexpected<std::string> failed(const std::string& file, const boost::system::error_code& error) {
    return std::unexpected("TLS: " + file + ": " + error.message());
}

void set_versions(asio::ssl::context& context) {
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);  // idle connections give theirs back
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
    return context;
}

}  // namespace foz::net
