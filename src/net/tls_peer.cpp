#include "net/tls_peer.hpp"

#include <memory>
#include <string_view>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace foz::net {
namespace {

// A NUL inside would make two readers see two names.
std::optional<std::string> text_of(const ASN1_STRING* from) {
    unsigned char* octets = nullptr;
    const int size = ASN1_STRING_to_UTF8(&octets, from);
    if (size < 0) return std::nullopt;
    std::string text(reinterpret_cast<const char*>(octets), static_cast<std::size_t>(size));
    OPENSSL_free(octets);
    if (text.empty() || text.find('\0') != std::string::npos) return std::nullopt;
    return text;
}

std::optional<std::string> common_name(const X509* certificate) {
    const X509_NAME* const subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return std::nullopt;
    return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

std::optional<std::string> alternative_name(const X509* certificate, int kind) {
    const auto free = [](GENERAL_NAMES* names) { GENERAL_NAMES_free(names); };
    const std::unique_ptr<GENERAL_NAMES, decltype(free)> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::optional<std::string> found;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* const one = sk_GENERAL_NAME_value(names.get(), i);
        if (one->type != kind) continue;
        if (found) return std::nullopt;
        found = text_of(one->d.ia5);
        if (!found) return std::nullopt;
    }
    return found;
}

}  // namespace

std::optional<std::string> verified_name(SSL* connection, peer_name kind) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(connection), &X509_free);
    if (!certificate || SSL_get_verify_result(connection) != X509_V_OK) return std::nullopt;
    switch (kind) {
        case peer_name::common_name:
            return common_name(certificate.get());
        case peer_name::dns:
            return alternative_name(certificate.get(), GEN_DNS);
        case peer_name::email:
            return alternative_name(certificate.get(), GEN_EMAIL);
        case peer_name::uri:
            return alternative_name(certificate.get(), GEN_URI);
    }
    return std::nullopt;
}

}  // namespace foz::net
