#include "identity/verifier.hpp"

#include "identity/claim_path.hpp"
#include "identity/claims.hpp"
#include "identity/key_source.hpp"
#include "identity/token_text.hpp"

#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace foz::identity {
namespace {

algorithm_set algorithms_of(const issuer_settings& settings) {
    algorithm_set all;
    for (const std::string& name : settings.algorithms_in_force())
        if (const auto one = parse_algorithm(name)) all.insert(*one);
    return all;
}

std::vector<std::string> path_of(const std::string& text) {
    auto path = parse_claim_path(text);
    if (!path) throw std::runtime_error(text + ": " + path.error());
    return std::move(*path);
}

claim_rules rules_of(const issuer_settings& settings) {
    return {.audience = settings.audience,
            .client_prefix = settings.client_prefix,
            .leeway = settings.leeway,
            .lifetime_max = settings.lifetime_max,
            .channels = path_of(settings.claim_channels),
            .groups = path_of(settings.claim_groups),
            .limits = path_of(settings.claim_limits),
            .meta = path_of(settings.claim_meta)};
}

struct candidates {
    std::vector<const key*> keys;
    refusal otherwise = refusal::bad_signature;  // when there are none
    bool by_id = false;
};

// RFC 7515 §4.1.4: kid chooses. A key without an id (a secret, PEM) stands for any.
candidates choose(const key_set& from, const token_text& token) {
    candidates found;
    for (const key& one : from.keys) {
        if (!token.key_id || one.id.empty() || one.id != *token.key_id) continue;
        found.by_id = true;
        if (one.allowed.contains(token.how)) found.keys.push_back(&one);
    }
    found.otherwise = refusal::key_mismatch;
    if (found.by_id) return found;
    found.otherwise = token.key_id ? refusal::unknown_key : refusal::no_fitting_key;
    for (const key& one : from.keys)
        if (one.allowed.contains(token.how) && (!token.key_id || one.id.empty()) && found.keys.size() < signatures_max)
            found.keys.push_back(&one);
    return found;
}

bool is_signed_by_one(std::string_view token, const token_text& text, const std::vector<const key*>& keys) {
    signature of(token);
    for (const key* const one : keys) {
        const bool right_size = one->signature_octets == 0 || one->signature_octets == text.signature_octets;
        if (right_size && of.is_by(one->crypto)) return true;
    }
    return false;
}

}  // namespace

struct verifier::fetch_count {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t count = 0;
};

struct verifier::issuer {
    issuer(const issuer_settings& settings, std::function<void()> on_fetched)
        : iss(settings.issuer),
          allowed(algorithms_of(settings)),
          rules(rules_of(settings)),
          source(settings, std::move(on_fetched)) {}

    const std::string iss;
    const algorithm_set allowed;
    const claim_rules rules;
    key_source source;
};

const clock& verifier::system_clock() {
    static const clock one;
    return one;
}

verifier::verifier(std::vector<issuer_settings> issuers, std::function<void()> on_fetched, const clock& time)
    : clock_(time), fetched_(std::make_shared<fetch_count>()) {
    if (issuers.size() > issuers_max)
        throw std::runtime_error("there are more than " + std::to_string(issuers_max) + " issuers");
    for (const issuer_settings& one : issuers) {
        for (const settings_flaw& flaw : flaws_of(one))
            throw std::runtime_error("issuer " + one.name + ": " + flaw.key + ": " + flaw.text);
        if (find(one.issuer)) throw std::runtime_error("issuer " + one.name + ": another one has the same issuer");
        issuers_.push_back(std::make_unique<issuer>(one, [count = fetched_, on_fetched] {
            {
                const std::lock_guard lock(count->mutex);
                ++count->count;
            }
            count->changed.notify_all();
            if (on_fetched) on_fetched();
        }));
    }
}

verifier::~verifier() = default;

verifier::issuer* verifier::find(std::string_view iss) const {
    for (const auto& one : issuers_)
        if (one->iss == iss) return one.get();
    return nullptr;
}

std::expected<verified_token, refusal> verifier::verify(std::string_view token) const {
    const auto text = parse_token(token);
    if (!text) return std::unexpected(text.error());
    const auto claims = parse_object(text->claims);
    if (!claims)
        return std::unexpected(claims.error() == json_flaw::duplicate_member ? refusal::duplicate_claim
                                                                             : refusal::bad_claims);
    const auto iss = string_member(*claims, "iss");
    if (!iss) return std::unexpected(refusal::missing_issuer);
    issuer* const by = find(*iss);
    if (!by) return std::unexpected(refusal::unknown_issuer);
    if (!by->allowed.contains(text->how)) return std::unexpected(refusal::algorithm_not_allowed);
    const auto keys = by->source.keys();
    if (!keys) return std::unexpected(refusal::keys_unavailable);
    const candidates found = choose(*keys, *text);
    const auto now = std::chrono::floor<std::chrono::seconds>(clock_.wall_now());
    if (found.keys.empty() || !is_signed_by_one(token, *text, found.keys)) {
        refusal why = found.keys.empty() ? found.otherwise : refusal::bad_signature;
        // It may be signed with a key that is newer than those we have.
        if (!found.by_id) {
            if (why == refusal::bad_signature && !by->source.is_current()) why = refusal::unknown_key;
            by->source.ask();
        }
        // No key makes a token good that has expired: whoever has it is told so, and does not come again with it.
        if (may_pass(why))
            if (const auto read = read_claims(*claims, by->rules, now); !read && read.error() == refusal::expired)
                why = refusal::expired;
        return std::unexpected(why);
    }
    return read_claims(*claims, by->rules, now);
}

std::uint64_t verifier::generation() const {
    const std::lock_guard lock(fetched_->mutex);
    return fetched_->count;
}

bool verifier::wait(std::uint64_t seen, std::chrono::milliseconds time_out) const {
    std::unique_lock lock(fetched_->mutex);
    return fetched_->changed.wait_for(lock, time_out, [&] { return fetched_->count != seen; });
}

std::vector<key_state> verifier::states() const {
    std::vector<key_state> all;
    for (const auto& one : issuers_) all.push_back(one->source.state());
    return all;
}

}  // namespace foz::identity
