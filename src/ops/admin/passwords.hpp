// Passwords of the admin port's users, as crypt(5) hashes them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace foz::ops {

inline constexpr std::size_t password_octets_max = 256;

// A new hash with a fresh salt, by yescrypt. Takes tens of milliseconds and 16 MiB. The password has 1 to
// password_octets_max octets and no NUL; std::runtime_error when it has not, or when there is no memory.
std::string hash_password(std::string_view password);

// Takes as long as hash_password(). False as well for a password that can't be one. From any thread.
bool password_matches(std::string_view password, const std::string& hash);

// What is wrong with a hash in the configuration, or empty: yescrypt ($y$), scrypt ($7$), bcrypt ($2b$) and
// SHA-512-crypt ($6$) are good. The words don't repeat it: somebody may have put the password itself there.
std::string flaw_of_password_hash(std::string_view hash);

}  // namespace foz::ops
