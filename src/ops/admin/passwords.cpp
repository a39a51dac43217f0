#include "ops/admin/passwords.hpp"

#include <algorithm>
#include <array>
#include <crypt.h>
#include <memory>
#include <stdexcept>

#include <openssl/crypto.h>

namespace foz::ops {
namespace {

// The scheme with the length of its digest.
struct password_scheme {
    std::string_view prefix;
    std::size_t digest;
};
constexpr std::array<password_scheme, 4> password_schemes{{{"$y$", 43}, {"$7$", 43}, {"$6$", 86}, {"$2b$", 53}}};

// 32 KB, in which the password has been.
struct wiped {
    void operator()(crypt_data* room) const noexcept {
        OPENSSL_cleanse(room, sizeof *room);
        delete room;
    }
};

bool can_be_password(std::string_view text) {
    return !text.empty() && text.size() <= password_octets_max && text.find('\0') == std::string_view::npos;
}

// The hash of the password by the salt and the cost of another one; empty when that can't be done.
std::string crypted(std::string_view password, const std::string& setting) {
    std::string phrase(password);
    const std::unique_ptr<crypt_data, wiped> room(new crypt_data{});
    const char* const made = ::crypt_rn(phrase.c_str(), setting.c_str(), room.get(), sizeof *room);
    OPENSSL_cleanse(phrase.data(), phrase.size());
    return made ? made : "";
}

}  // namespace

std::string hash_password(std::string_view password) {
    if (!can_be_password(password))
        throw std::runtime_error("a password has 1 to " + std::to_string(password_octets_max) + " octets");
    std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
    const bool salted = ::crypt_gensalt_rn("$y$", 0, nullptr, 0, setting.data(), setting.size()) != nullptr;
    std::string made = salted ? crypted(password, setting.data()) : "";
    if (made.empty()) throw std::runtime_error("the password can't be hashed: the system has no yescrypt or no memory");
    return made;
}

bool password_matches(std::string_view password, const std::string& hash) {
    if (!can_be_password(password)) return false;
    const std::string made = crypted(password, hash);
    return !made.empty() && made.size() == hash.size() && CRYPTO_memcmp(made.data(), hash.data(), made.size()) == 0;
}

std::string flaw_of_password_hash(std::string_view hash) {
    const auto scheme = std::ranges::find_if(password_schemes,
                                             [&](const password_scheme& one) { return hash.starts_with(one.prefix); });
    constexpr std::string_view alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const std::string_view digest = hash.substr(std::min(hash.rfind('$') + 1, hash.size()));
    if (scheme != password_schemes.end() && digest.size() == scheme->digest &&
        digest.find_first_not_of(alphabet) == std::string_view::npos &&
        ::crypt_checksalt(std::string(hash).c_str()) == CRYPT_SALT_OK)
        return {};
    return "a hash as `foz admin hash` makes it is expected, not a password";
}

}  // namespace foz::ops
