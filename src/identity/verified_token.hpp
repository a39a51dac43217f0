// What a token says, when it is believed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::identity {

inline constexpr std::size_t subject_octets_max = 128;  // as of every client's id
inline constexpr std::size_t token_id_octets_max = 255;
inline constexpr std::size_t channels_max = 64;
inline constexpr std::size_t patterns_max = 64;  // of one permission
inline constexpr std::size_t types_max = 64;
inline constexpr std::size_t type_octets_max = 255;
inline constexpr std::size_t groups_max = 256;
inline constexpr std::size_t group_octets_max = 128;
inline constexpr std::size_t limits_max = 32;
inline constexpr std::size_t limit_octets_max = 64;  // of a name
inline constexpr std::size_t meta_octets_max = 4096;

// For all topics of a channel, for those that match a pattern (AMQP 0-9-1 §3.1.3.3), or for none.
struct permission {
    bool all = false;
    std::vector<std::string> patterns;

    bool allows(std::string_view topic) const noexcept;
};

struct channel_grant {
    std::string channel;
    permission consume;
    permission publish;
    permission request;
    // Types of what it sends: exact, or with a "*" at the end; nothing: the token doesn't say.
    std::optional<std::vector<std::string>> types;
};

struct token_limit {
    std::string name;
    std::uint64_t value = 0;
};

// Plain values, bounded by the constants above. All texts are valid UTF-8; names have no control characters.
struct verified_token {
    std::string subject;   // sub; empty where claims may be partial and it is missing
    std::string client;    // the issuer's client_prefix and the subject; likewise
    std::string issuer;    // iss
    std::string token_id;  // jti, or empty
    std::optional<std::chrono::sys_seconds> issued;
    std::chrono::sys_seconds expires;
    // exp and the issuer's leeway: accepted until then. Nothing, and no `expires`, where exp may be missing and is.
    std::optional<std::chrono::sys_seconds> ends;
    // Nothing: the token doesn't say, the channels' own settings hold. Else what isn't in it isn't granted.
    std::optional<std::vector<channel_grant>> channels;
    std::optional<std::vector<std::string>> groups;
    std::vector<token_limit> limits;
    std::string meta;  // JSON without white space, or empty
};

}  // namespace foz::identity
