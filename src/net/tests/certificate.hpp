// A certificate for tests of TLS.
#pragma once

#include "base/random.hpp"

#include <cstdio>
#include <filesystem>
#include <string>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace foz::net {

// A key and a self-signed certificate, as files.
struct certificate {
    // `names`: its subjectAltName, in OpenSSL's words.
    explicit certificate(const std::string& names = "DNS:localhost", const std::string& common_name = "localhost") {
        EVP_PKEY* key = EVP_EC_gen("P-256");
        X509* x509 = X509_new();
        X509_set_version(x509, 2);
        X509_gmtime_adj(X509_getm_notBefore(x509), -60);
        X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
        X509_set_pubkey(x509, key);
        X509_NAME* name = X509_get_subject_name(x509);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
        X509_set_issuer_name(x509, name);
        X509_EXTENSION* alternative = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
        X509_add_ext(x509, alternative, -1);
        X509_sign(x509, key, EVP_sha256());
        std::FILE* file = std::fopen(cert_file.c_str(), "w");
        PEM_write_X509(file, x509);
        std::fclose(file);
        file = std::fopen(key_file.c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_EXTENSION_free(alternative);
        X509_free(x509);
        EVP_PKEY_free(key);
    }
    ~certificate() { std::filesystem::remove_all(folder); }

    std::filesystem::path folder = [] {
        auto path = std::filesystem::temp_directory_path() / ("foz-tls-" + system_random().token(64));
        std::filesystem::create_directory(path);
        return path;
    }();
    std::string cert_file = folder / "cert.pem";
    std::string key_file = folder / "key.pem";
};

}  // namespace foz::net
