// Whatever the octets are, as a token, as claims and as keys: nothing is read beyond them, what is accepted is within
// its bounds, and no token is good that nobody has signed.
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "identity/claims.hpp"
#include "identity/keys.hpp"
#include "identity/strict_json.hpp"
#include "identity/token_text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace foz::identity;

void require(bool condition) {
    if (!condition) std::abort();
}

void check_permission(const permission& one) {
    require(one.patterns.size() <= patterns_max);
    (void)one.allows("a.b.c");
}

void check_claims(std::string_view octets) {
    const auto object = parse_object(octets);
    if (!object) return;
    require(foz::is_json(octets));
    const claim_rules rules{.channels = {"foz", "channels"},
                            .groups = {"foz", "groups"},
                            .limits = {"foz", "limits"},
                            .meta = {"foz", "meta"}};
    const auto claims = read_claims(*object, rules, std::chrono::sys_seconds(std::chrono::seconds(1'800'000'000)));
    if (!claims) return;
    require(is_plain_text(claims->subject, subject_octets_max) && foz::is_utf8(claims->subject));
    require(!claims->subject.starts_with("anon-") && !claims->subject.starts_with("session:"));
    require(claims->token_id.size() <= token_id_octets_max && claims->limits.size() <= limits_max);
    require(claims->meta.size() <= meta_octets_max && (claims->meta.empty() || foz::is_json(claims->meta)));
    require(!claims->groups || claims->groups->size() <= groups_max);
    if (!claims->channels) return;
    require(claims->channels->size() <= channels_max);
    for (const channel_grant& one : *claims->channels)
        for (const permission* each : {&one.consume, &one.publish, &one.request}) check_permission(*each);
}

void check_token(std::string_view octets, const crypto_key& key) {
    (void)read_contents(octets);
    const auto token = parse_token(octets);
    if (!token) return;
    require(octets.size() <= token_octets_max && (!token->key_id || is_plain_text(*token->key_id, key_id_octets_max)));
    check_claims(token->claims);
    if (is_symmetric(token->how)) require(!signature(octets).is_by(key));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Not a secret that a fuzzer finds.
    static const key_set keys = keys_of_secret("0f4c9d52a7e84b13b6d0c2e95f718a36").value();
    // On the heap, so that a sanitizer sees every read beyond it.
    const std::vector<char> octets(data, data + size);
    const std::string_view text(octets.data(), octets.size());
    check_token(text, keys.keys.front().crypto);
    check_claims(text);
    if (const auto set = parse_keys(text, secrets::taken))
        require(!set->keys.empty() && set->keys.size() + set->passed_over <= keys_max);
    else
        require(foz::is_utf8(set.error()));
    return 0;
}
