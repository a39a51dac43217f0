#include "base/digest.hpp"

#include <cstdlib>

#include <openssl/evp.h>

namespace foz {
namespace {

std::string digest(const EVP_MD* algorithm, std::string_view octets) {
    std::string out(static_cast<std::size_t>(EVP_MD_get_size(algorithm)), '\0');
    unsigned size = 0;
    if (EVP_Digest(octets.data(), octets.size(), reinterpret_cast<unsigned char*>(out.data()), &size, algorithm,
                   nullptr) != 1)
        std::abort();  // out of memory
    return out;
}

}  // namespace

std::string sha1(std::string_view octets) {
    return digest(EVP_sha1(), octets);
}
std::string sha256(std::string_view octets) {
    return digest(EVP_sha256(), octets);
}
std::string sha512(std::string_view octets) {
    return digest(EVP_sha512(), octets);
}

}  // namespace foz
