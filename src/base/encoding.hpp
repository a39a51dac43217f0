// RFC 4648 encodings, as far as the protocols need them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace foz {

// RFC 4648 §4, with padding.
std::string base64(std::string_view octets);
// RFC 4648 §5, without padding.
std::string base64url(std::string_view octets);
// Accepts what base64url() makes, nothing else: no padding, no white space, no stray bits.
std::optional<std::string> from_base64url(std::string_view text);
// RFC 4648 §6 in lower case, without padding.
std::string base32(std::string_view octets);
// Lower-case hexadecimal.
std::string hex(std::string_view octets);

}  // namespace foz
