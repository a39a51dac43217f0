// Why a token is refused: one value for each reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace foz::identity {

// In the order in which they are found: what costs little comes first.
enum class refusal : std::uint8_t {
    // The text (RFC 7515 §3.1).
    too_large,
    not_a_token,
    encrypted,
    bad_encoding,
    // The header (RFC 7515 §4).
    bad_header,
    duplicate_header_member,
    critical_header,
    nested,
    wrong_type,
    missing_algorithm,
    unsigned_token,
    unknown_algorithm,
    // Whose token it is.
    bad_claims,
    duplicate_claim,
    missing_issuer,
    unknown_issuer,
    // The key and the signature.
    algorithm_not_allowed,
    keys_unavailable,
    unknown_key,
    key_mismatch,
    no_fitting_key,
    bad_signature,
    // Times (RFC 7519 §4.1.4 to §4.1.6).
    bad_time,
    missing_expiry,
    expired,
    not_yet_valid,
    issued_in_future,
    expires_too_late,
    // The other registered claims (RFC 7519 §4.1).
    missing_audience,
    bad_audience,
    wrong_audience,
    missing_subject,
    bad_subject,
    reserved_subject,
    bad_token_id,
    // Foz's own claims.
    bad_channels,
    bad_groups,
    bad_limits,
    meta_too_large,
};

inline constexpr std::size_t refusals = static_cast<std::size_t>(refusal::meta_too_large) + 1;

// "bad_signature": for logs, metrics and clients; a literal.
std::string_view code_of(refusal why) noexcept;
// One sentence for people, with nothing of the token in it; a literal.
std::string_view sentence_of(refusal why) noexcept;
// The same token may be accepted later: keys_unavailable, unknown_key, no_fitting_key (when the issuer's keys have been
// fetched), not_yet_valid and issued_in_future.
bool may_pass(refusal why) noexcept;

}  // namespace foz::identity
