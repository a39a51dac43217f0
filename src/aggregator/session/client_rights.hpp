// What a client may do, and who says so. Plain values.
#pragma once

#include "aggregator/session/client_limits.hpp"
#include "base/clock.hpp"
#include "base/strong.hpp"
#include "contract/channel_settings.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// By topic, as AMQP patterns (0-9-1 §3.1.3.3). None: nothing is allowed.
class topic_rights {
public:
    topic_rights() = default;  // nothing
    explicit topic_rights(std::vector<std::string> patterns);
    static topic_rights everything() { return topic_rights({"#"}); }

    bool all() const noexcept { return all_; }
    bool none() const noexcept { return patterns_.empty(); }
    // "" is a message without a topic, which # alone matches.
    bool allow(std::string_view topic) const noexcept;
    // All that a pattern could match. May refuse what is allowed by several patterns together.
    bool cover(std::string_view pattern) const;
    const std::vector<std::string>& patterns() const noexcept { return patterns_; }

    friend bool operator==(const topic_rights&, const topic_rights&) = default;

private:
    std::vector<std::string> patterns_;
    bool all_ = false;
};

struct channel_rights {
    topic_rights consume;
    topic_rights publish;
    topic_rights request;
    // Of what it sends: exact, or with a "*" at the end; "" is a message without a type. None: any.
    std::vector<std::string> types;

    bool allow_nothing() const noexcept { return consume.none() && publish.none() && request.none(); }
    bool allow_type(std::string_view type) const noexcept;
};

struct client_rights {
    std::vector<channel_rights> channels;  // as in the settings
    // Groups that it may join, sorted; nothing: the channels' policies say it.
    std::optional<std::vector<std::string>> groups;
    std::string meta;                             // JSON, told to services; or empty
    std::shared_ptr<const client_limits> limits;  // null: the configuration's

    // Of a token, or of what a connect service has answered, as far as it matters to whoever revokes it; empty for
    // others.
    std::string issuer;
    std::string token_id;
    std::optional<wall_time> issued;
    std::optional<wall_time> ends;  // when its sessions do, unless they are refreshed
    // A token of any issuer refreshes it that is the same client's: it came with none.
    bool any_issuer = false;
    // A connect service has granted them, and is asked again about whoever comes again after their end.
    bool by_service = false;

    bool may_join(std::string_view group) const noexcept;
    // They were granted before then, or may have been: those that don't say when. Never of who has them from the
    // settings, or of a proxy.
    bool granted_before(wall_time then) const noexcept { return (ends || issued) && (!issued || *issued < then); }
};

// Somebody who has shown who it is, or whom a connect service lets in.
struct known_client {
    client_id client;  // empty: nobody in particular, whom a connect service has let in
    std::shared_ptr<const client_rights> rights;
};

// What the settings grant to whoever has no token.
std::vector<channel_rights> default_rights(std::span<const contract::channel_settings> channels);

}  // namespace foz::aggregator
