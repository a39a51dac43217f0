#include "net/tls_names.hpp"

#include "base/ascii.hpp"

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace foz::net {
namespace {

namespace asio = boost::asio;

// The names of a context's certificate.
std::vector<std::string> names_of(SSL_CTX* context) {
    std::vector<std::string> out;
    const auto free = [](GENERAL_NAMES* names) { GENERAL_NAMES_free(names); };
    const std::unique_ptr<GENERAL_NAMES, decltype(free)> names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(SSL_CTX_get0_certificate(context), NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* const one = sk_GENERAL_NAME_value(names.get(), i);
        if (one->type != GEN_DNS) continue;
        const auto* octets = reinterpret_cast<const char*>(ASN1_STRING_get0_data(one->d.dNSName));
        out.push_back(
            ascii_lower(std::string_view(octets, static_cast<std::size_t>(ASN1_STRING_length(one->d.dNSName)))));
    }
    return out;
}

// Belongs to the first context, which OpenSSL keeps as long as a connection has it.
struct name_table {
    void add(SSL_CTX* context) {
        for (const std::string& name : names_of(context))
            if (name.starts_with("*."))
                below.try_emplace(name.substr(1), context);
            else
                exact.try_emplace(name, context);
    }
    SSL_CTX* find(std::string_view asked) const {
        const std::string name = ascii_lower(asked);
        if (const auto at = exact.find(name); at != exact.end()) return at->second;
        const std::size_t dot = name.find('.');
        if (dot == std::string::npos || dot == 0) return nullptr;
        const auto at = below.find(name.substr(dot));
        return at == below.end() ? nullptr : at->second;
    }

    std::vector<asio::ssl::context> others;
    std::unordered_map<std::string, SSL_CTX*> exact;
    std::unordered_map<std::string, SSL_CTX*> below;  // ".example.org"
};

int table_index() {
    static const int index = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr,
        [](void*, void* table, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<name_table*>(table); });
    return index;
}

int on_name(SSL* connection, int*, void*) {
    const char* const asked = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
    SSL_CTX* const own = SSL_get_SSL_CTX(connection);
    const auto* const table = static_cast<const name_table*>(SSL_CTX_get_ex_data(own, table_index()));
    if (!asked || !table) return SSL_TLSEXT_ERR_NOACK;
    if (SSL_CTX* const found = table->find(asked); found && found != own) SSL_set_SSL_CTX(connection, found);
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void choose_by_name(asio::ssl::context& first, std::vector<asio::ssl::context> others) {
    auto table = std::make_unique<name_table>();
    table->others = std::move(others);
    table->add(first.native_handle());
    for (asio::ssl::context& one : table->others) table->add(one.native_handle());
    if (SSL_CTX_set_ex_data(first.native_handle(), table_index(), table.get()) != 1) return;
    table.release();
    SSL_CTX_set_tlsext_servername_callback(first.native_handle(), on_name);
}

}  // namespace foz::net
