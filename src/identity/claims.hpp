// The claims of a token (RFC 7519 §4) whose signature is right. Internal to the module.
#pragma once

#include "identity/refusal.hpp"
#include "identity/strict_json.hpp"
#include "identity/verified_token.hpp"

#include <chrono>
#include <expected>
#include <string>
#include <vector>

namespace foz::identity {

// What one issuer's claims have to be; of its settings.
struct claim_rules {
    bool may_be_partial = false;  // sub and exp may be missing
    std::vector<std::string> audience;
    std::string client_prefix;
    std::chrono::seconds leeway{0};
    std::chrono::seconds lifetime_max{0};
    std::vector<std::string> channels;  // paths
    std::vector<std::string> groups;
    std::vector<std::string> limits;
    std::vector<std::string> meta;
};

// Pure. `iss` has been compared by the caller. Refuses with bad_time to meta_too_large.
std::expected<verified_token, refusal> read_claims(simdjson::dom::object claims, const claim_rules& rules,
                                                   std::chrono::sys_seconds now);

}  // namespace foz::identity
