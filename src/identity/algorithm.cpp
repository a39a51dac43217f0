#include "identity/algorithm.hpp"

#include <array>

namespace foz::identity {
namespace {

struct trait {
    std::string_view name;
    key_type key;
    std::size_t hash_octets;
};

constexpr std::array<trait, algorithms> traits{{
    {"HS256", key_type::secret, 32},
    {"HS384", key_type::secret, 48},
    {"HS512", key_type::secret, 64},
    {"RS256", key_type::rsa, 32},
    {"RS384", key_type::rsa, 48},
    {"RS512", key_type::rsa, 64},
    {"PS256", key_type::rsa, 32},
    {"PS384", key_type::rsa, 48},
    {"PS512", key_type::rsa, 64},
    {"ES256", key_type::p256, 32},
    {"ES384", key_type::p384, 48},
    {"ES512", key_type::p521, 64},
}};

constexpr const trait& trait_of(algorithm one) {
    return traits[static_cast<std::size_t>(one)];
}

}  // namespace

std::optional<algorithm> parse_algorithm(std::string_view name) noexcept {
    for (std::size_t i = 0; i < traits.size(); ++i)
        if (traits[i].name == name) return static_cast<algorithm>(i);
    return std::nullopt;
}

std::string_view name_of(algorithm one) noexcept {
    return trait_of(one).name;
}

key_type key_type_for(algorithm one) noexcept {
    return trait_of(one).key;
}

bool is_symmetric(algorithm one) noexcept {
    return trait_of(one).key == key_type::secret;
}

std::size_t secret_octets_min(algorithm one) noexcept {
    return is_symmetric(one) ? trait_of(one).hash_octets : 0;
}

}  // namespace foz::identity
