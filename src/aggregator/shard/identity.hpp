// Who a client is.
#pragma once

#include "base/strong.hpp"

#include <string>
#include <string_view>

namespace foz::aggregator {

// The secret that an anonymous client keeps: 22 to 64 characters of A-Z a-z 0-9 - _ (128 bits as base64url are 22).
bool is_resume_secret(std::string_view text);

// "anon-" and the first 26 characters of base32(SHA-256(secret)): every aggregator derives the same, and nobody can
// guess a secret from it.
client_id anonymous_client(std::string_view resume_secret);

// Tells the devices of a client apart that has a name of its own: 8 characters, derived from what the device keeps.
// Nothing of the secret can be guessed from it.
std::string device_mark(std::string_view resume_secret);

// What a client may be called by a token or a proxy: 1 to 128 octets of UTF-8 without control characters, and not the
// name of somebody else's kind.
bool is_client_name(std::string_view text);

// The shard that all sockets of a client live on.
unsigned shard_of(const client_id& client, unsigned shards) noexcept;

}  // namespace foz::aggregator
