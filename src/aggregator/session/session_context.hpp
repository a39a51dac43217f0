// What the sessions of one shard share.
#pragma once

#include "aggregator/channel/channel.hpp"
#include "aggregator/channel/directory.hpp"
#include "aggregator/session/client_rights.hpp"
#include "aggregator/session/hub_counters.hpp"
#include "aggregator/session/hub_output.hpp"
#include "aggregator/session/questions.hpp"
#include "aggregator/session/rate_limits.hpp"
#include "aggregator/session/requests.hpp"
#include "aggregator/session/revocations.hpp"
#include "aggregator/session/session_settings.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"
#include "envelope/envelope.hpp"
#include "net/timing_wheel.hpp"
#include "primus/packet.hpp"

#include <cstddef>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::aggregator {

// Owned by the hub; outlives its sessions.
struct session_context {
    const session_settings& config;
    const clock& time;
    net::timing_wheel& wheel;
    random_source& random;
    const unsigned shard;  // for reading_id
    hub_output& out;
    const client_rights unnamed;  // what the settings grant to whoever has no token
    revocations revoked;
    directory names;
    std::deque<channel> channels;  // as in the settings
    requests asked;
    questions asked_of_clients;
    rate_limits rates;
    paused_readers slowed;  // since their clients send too fast
    primus::parser packets;
    envelope::parser envelopes;
    hub_counters counters;
    // Of all that the sessions may not have heard.
    std::size_t unheard_octets = 0;
    // Sessions that have a channel to go on resuming, in turn.
    std::deque<std::pair<member, std::size_t>> resuming;
    // Sessions that are ahead of a channel, until it has come so far.
    std::vector<std::pair<member, std::size_t>> ahead = {};

    void count_refused(error_code why) noexcept {
        ++counters.frames_refused;
        if (why == error_code::overloaded) ++counters.overloaded;
        if (why == error_code::rate_limited) ++counters.rate_limited;
    }
    std::optional<std::size_t> channel_index(std::string_view name) const;
    // Nothing consumes the channel's queue: now, or for as long as the channel's settings allow.
    bool no_service(std::size_t index, bool fail_fast) const;
    // `wanted`: whether anybody is to hear of its outcome.
    void publish(std::size_t index, const client_id& client, amqp::publication message, publish_ticket ticket = 0);
};

}  // namespace foz::aggregator
