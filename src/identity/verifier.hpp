// Who a client is, by its token.
#pragma once

#include "base/clock.hpp"
#include "identity/refusal.hpp"
#include "identity/settings.hpp"
#include "identity/verified_token.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::identity {

// What is known of an issuer's keys, for operators.
struct key_state {
    std::string issuer;           // the issuer's name in the configuration
    std::size_t keys = 0;         // in use
    std::size_t passed_over = 0;  // of the last set that was read
    std::uint64_t fetches = 0;    // that have ended
    std::uint64_t failures = 0;   // of these
    std::string last_failure;     // empty when the last one was good; has nothing of the keys in it
    std::chrono::seconds age{0};  // since the keys in use were read
    bool refreshing = false;      // one is under way, or asked for and waiting for its pause
};

// A token without kid is tried with so many keys at most.
inline constexpr std::size_t signatures_max = 4;

// Verifies the tokens of several issuers (RFC 7515, RFC 7519, with the advice of RFC 8725). One for a process, owned by
// the composition root; all functions may be called from any thread, several at a time.
//
// Nobody waits for a fetch of keys: a thread for each issuer that has keys_url or keys_file fetches them. When the key
// of a token isn't there, verify() asks for a fetch and says unknown_key (before the first one: keys_unavailable). Who
// wants to let such a client in notes generation() before verify(), and verifies again when `on_fetched` was called, or
// wait() has returned, and the generation is another one; one retry for a fetch is enough. However many tokens name
// unknown keys, fetches are no closer to each other than refresh_pause.
class verifier {
public:
    // Throws std::runtime_error with one line when two issuers have the same `issuer`, or a secret or file can't be
    // used; URLs are fetched later. `on_fetched` is called on a thread of the verifier's after each fetch and must
    // neither block nor throw. The clock outlives the verifier.
    explicit verifier(std::vector<issuer_settings> issuers, std::function<void()> on_fetched = {},
                      const clock& time = system_clock());
    ~verifier();
    verifier(const verifier&) = delete;
    verifier& operator=(const verifier&) = delete;

    // At most a few signatures are checked for one token (signatures_max); memory is bounded by the token's size, and a
    // parser for each thread is reused. Never blocks.
    std::expected<verified_token, refusal> verify(std::string_view token) const;

    // Grows with each fetch that has ended.
    std::uint64_t generation() const;
    // Blocks until the generation is another one than `seen`; false when the time is over. For tools and tests.
    bool wait(std::uint64_t seen, std::chrono::milliseconds time_out) const;

    // One for each issuer, in the order of the settings.
    std::vector<key_state> states() const;

private:
    static const clock& system_clock();

    struct issuer;
    struct fetch_count;
    issuer* find(std::string_view iss) const;

    const clock& clock_;
    std::shared_ptr<fetch_count> fetched_;  // outlives the issuers' threads
    std::vector<std::unique_ptr<issuer>> issuers_;
};

}  // namespace foz::identity
