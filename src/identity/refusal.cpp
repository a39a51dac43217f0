#include "identity/refusal.hpp"

#include <array>

namespace foz::identity {
namespace {

struct text {
    refusal why;
    std::string_view code;
    std::string_view sentence;
};

constexpr std::array<text, refusals> texts{{
    {refusal::too_large, "too_large", "the token is larger than Foz accepts"},
    {refusal::not_a_token, "not_a_token",
     "this is not a signed token: three parts with dots between them are expected"},
    {refusal::encrypted, "encrypted", "the token is encrypted; a signed token is expected"},
    {refusal::bad_encoding, "bad_encoding", "a part of the token is not in canonical base64url"},
    {refusal::bad_header, "bad_header", "the token's header is not a JSON object with members of the right types"},
    {refusal::duplicate_header_member, "duplicate_header_member", "the token's header has a member twice"},
    {refusal::critical_header, "critical_header", "the token's header names extensions that must be understood (crit)"},
    {refusal::nested, "nested", "the token contains another token (cty); nested tokens are not accepted"},
    {refusal::wrong_type, "wrong_type", "the token's type (typ) is not that of an access token: JWT or at+jwt"},
    {refusal::missing_algorithm, "missing_algorithm", "the token's header names no algorithm (alg)"},
    {refusal::unsigned_token, "unsigned_token", "the token is not signed (alg none)"},
    {refusal::unknown_algorithm, "unknown_algorithm", "the token's algorithm (alg) is not one that Foz supports"},
    {refusal::bad_claims, "bad_claims", "the token's claims are not a JSON object"},
    {refusal::duplicate_claim, "duplicate_claim", "the token's claims have a member twice"},
    {refusal::missing_issuer, "missing_issuer", "the token does not say who issued it (iss)"},
    {refusal::unknown_issuer, "unknown_issuer", "the token's issuer (iss) is not one that is configured"},
    {refusal::algorithm_not_allowed, "algorithm_not_allowed",
     "the token's algorithm (alg) is not one that is configured for its issuer"},
    {refusal::keys_unavailable, "keys_unavailable", "the issuer's keys have not been fetched yet"},
    {refusal::unknown_key, "unknown_key", "the issuer has no key of the id that the token names (kid)"},
    {refusal::key_mismatch, "key_mismatch", "the key that the token names (kid) may not be used for its algorithm"},
    {refusal::no_fitting_key, "no_fitting_key", "the issuer has no key for the token's algorithm"},
    {refusal::bad_signature, "bad_signature", "the token's signature is wrong"},
    {refusal::bad_time, "bad_time", "a time in the token (exp, nbf or iat) is not a number of seconds since 1970"},
    {refusal::missing_expiry, "missing_expiry", "the token does not say when it expires (exp)"},
    {refusal::expired, "expired", "the token has expired"},
    {refusal::not_yet_valid, "not_yet_valid", "the token is not valid yet (nbf)"},
    {refusal::issued_in_future, "issued_in_future", "the token was issued in the future (iat): a clock is wrong"},
    {refusal::expires_too_late, "expires_too_late", "the token expires later than its issuer's lifetime_s allows"},
    {refusal::missing_audience, "missing_audience", "the token does not say whom it is for (aud)"},
    {refusal::bad_audience, "bad_audience", "the token's audience (aud) is neither a string nor a list of strings"},
    {refusal::wrong_audience, "wrong_audience", "the token is for somebody else (aud)"},
    {refusal::missing_subject, "missing_subject", "the token does not say whose it is (sub)"},
    {refusal::bad_subject, "bad_subject",
     "the token's subject (sub) is not a string of 1 to 128 octets without control characters"},
    {refusal::reserved_subject, "reserved_subject",
     "the token's subject (sub) begins with anon- or session:, which Foz gives itself"},
    {refusal::bad_token_id, "bad_token_id",
     "the token's id (jti) is not a string of 1 to 255 octets without control characters"},
    {refusal::bad_channels, "bad_channels", "what the token grants on channels is not in the form that Foz expects"},
    {refusal::bad_groups, "bad_groups", "the token's groups are not a list of names"},
    {refusal::bad_limits, "bad_limits", "the token's limits are not an object of whole numbers"},
    {refusal::meta_too_large, "meta_too_large", "what the token tells services (meta) is larger than Foz accepts"},
}};

constexpr bool in_order() {
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (texts[i].why != static_cast<refusal>(i)) return false;
    return true;
}
static_assert(in_order());

}  // namespace

std::string_view code_of(refusal why) noexcept {
    return texts[static_cast<std::size_t>(why)].code;
}

std::string_view sentence_of(refusal why) noexcept {
    return texts[static_cast<std::size_t>(why)].sentence;
}

bool may_pass(refusal why) noexcept {
    return why == refusal::keys_unavailable || why == refusal::unknown_key || why == refusal::no_fitting_key ||
           why == refusal::not_yet_valid || why == refusal::issued_in_future;
}

}  // namespace foz::identity
