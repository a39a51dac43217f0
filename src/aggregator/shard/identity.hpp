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

// The shard that all sockets of a client live on.
unsigned shard_of(const client_id& client, unsigned shards) noexcept;

// An Origin header names the host that the request came to, so that a cookie on it may be believed.
bool same_origin(std::string_view origin, std::string_view host);

}  // namespace foz::aggregator
