// Signature algorithms (RFC 7518 §3.1) and the types of key that they need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace foz::identity {

// All that libcjose verifies. It has no EdDSA (RFC 8037).
enum class algorithm : std::uint8_t {
    hs256,
    hs384,
    hs512,
    rs256,
    rs384,
    rs512,
    ps256,
    ps384,
    ps512,
    es256,
    es384,
    es512,
};

inline constexpr std::size_t algorithms = 12;

enum class key_type : std::uint8_t { secret, rsa, p256, p384, p521 };

// By its name in a header ("RS256"); exact, as RFC 7515 §4.1.1 says.
std::optional<algorithm> parse_algorithm(std::string_view name) noexcept;
std::string_view name_of(algorithm one) noexcept;

// The only type of key with which this algorithm is ever verified: a public key is never taken for an HMAC secret.
key_type key_type_for(algorithm one) noexcept;
// HS256 to HS512.
bool is_symmetric(algorithm one) noexcept;
// A secret is at least as long as the hash (RFC 7518 §3.2).
std::size_t secret_octets_min(algorithm one) noexcept;

class algorithm_set {
public:
    constexpr void insert(algorithm one) noexcept { bits_ |= bit(one); }
    constexpr bool contains(algorithm one) const noexcept { return (bits_ & bit(one)) != 0; }
    constexpr bool empty() const noexcept { return bits_ == 0; }

private:
    static constexpr std::uint16_t bit(algorithm one) noexcept {
        return static_cast<std::uint16_t>(1u << static_cast<unsigned>(one));
    }
    std::uint16_t bits_ = 0;
};

}  // namespace foz::identity
