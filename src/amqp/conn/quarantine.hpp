// Which channel makes the broker close the connection, and when it may try again. Pure.
#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foz::amqp {

// A broker that fails at one channel's queue.declare or basic.consume closes the whole connection (RabbitMQ's 541 and
// 540). Channels that had such a call outstanding are suspects: they are held back while the others are opened, and
// then tried one at a time, so that the sick one is found. It comes back after pauses that grow.
//
// Belongs to a client and lives on its shard; channels are named by number. At most one record for each channel.
class quarantine {
public:
    static constexpr std::chrono::milliseconds pause_min{500};
    static constexpr std::chrono::milliseconds pause_max{60'000};
    // A pause is no longer than this, or than a quarter of the time since the first strike: queues whose cluster is
    // only starting look sick, too.
    static constexpr std::chrono::milliseconds pause_soon_max{2'000};

    struct verdict {
        std::uint64_t channel = 0;
        std::string what;  // the queue that it was about
        std::chrono::milliseconds retry_in{0};
    };

    // While a connection ends: the channel had a call outstanding that may be the cause.
    void accuse(std::uint64_t channel, std::string what);
    // The connection has ended. Those who are found to be sick: who was alone among the accused, or is so again. The
    // pauses are between three and five quarters of their length, as `jitter` (0 to 1) says.
    std::vector<verdict> connection_ended(steady_time now, double jitter);

    // It isn't opened with the others.
    bool holds(std::uint64_t channel) const { return held_.contains(channel); }
    bool empty() const noexcept { return held_.empty(); }
    // The channel to be opened now, if there is one; it is on trial from here on.
    std::optional<std::uint64_t> begin_trial(steady_time now);
    // When begin_trial() is to be asked again; nothing while one is on trial.
    std::optional<steady_time> next_trial_at() const;
    // It was set up, or its trial ended without harm to the connection, or it is gone.
    void acquit(std::uint64_t channel);
    bool on_trial(std::uint64_t channel) const { return on_trial_ == channel; }

private:
    struct record {
        unsigned strikes = 0;  // in a row
        steady_time since{};   // the first of them
        bool sick = false;
        steady_time trial_at{};
    };
    struct accusation {
        std::uint64_t channel;
        std::string what;
    };

    std::map<std::uint64_t, record> held_;
    std::vector<accusation> accused_;
    std::optional<std::uint64_t> on_trial_;
};

}  // namespace foz::amqp
