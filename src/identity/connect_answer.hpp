// What a connect service says of a client that has shown no token: whether it may come in, and as whom.
#pragma once

#include "identity/verified_token.hpp"

#include <chrono>
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace foz::identity {

inline constexpr std::size_t connect_answer_octets_max = 64 * 1024;
inline constexpr std::size_t denial_text_octets_max = 1'024;
inline constexpr std::size_t denial_code_octets_max = 64;

struct connect_rules {
    std::string client_prefix;        // before every subject
    std::chrono::seconds leeway{30};  // that clocks may differ
};

struct connect_answer {
    bool allow = false;
    verified_token claims;  // of a client that may come in; without a subject it is nobody in particular
    std::string code;       // of one that may not: the service's own word for it, or empty
    std::string text;       // the same for people, or empty
};

// {"allow":true,"claims":{…}}, where the claims are as a token's payload has them, but `sub` and `exp` may be missing,
// as may all of them; or {"allow":false,"code":"…","text":"…"}, where the last two may be missing. Anything else is
// refused, also a member that is not known: it might be a restriction. The error is a few words for a log, with nothing
// of the answer in it.
//
// Pure; any thread.
std::expected<connect_answer, std::string> parse_connect_answer(std::string_view json, const connect_rules& rules,
                                                                std::chrono::sys_seconds now);

}  // namespace foz::identity
