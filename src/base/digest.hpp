#pragma once

#include <string>
#include <string_view>

namespace foz {

// 20 octets. For RFC 6455's accept key only.
std::string sha1(std::string_view octets);
// 32 octets.
std::string sha256(std::string_view octets);
// 64 octets.
std::string sha512(std::string_view octets);

}  // namespace foz
