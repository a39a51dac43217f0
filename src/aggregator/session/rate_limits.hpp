// How much each client of a shard may send. No I/O.
#pragma once

#include "aggregator/channel/member.hpp"
#include "aggregator/session/client_limits.hpp"
#include "aggregator/session/session_settings.hpp"
#include "base/clock.hpp"
#include "base/token_bucket.hpp"
#include "net/timing_wheel.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace foz::aggregator {

// A client has an account here from its first frame until all its buckets are full again, whether it is connected or
// not: coming back fills nothing. Who is idle has none. Owned by the hub of its shard; O(1) but for sweep().
class rate_limits {
public:
    // A client, as a hash that nobody outside can aim at: two that share one share their rates.
    using client_key = std::uint64_t;

    // Beyond so many accounts the oldest one is forgotten.
    static constexpr std::size_t accounts_max = 100'000;

    // What has come beyond a rate.
    struct excess {
        std::chrono::milliseconds wait{};   // until it is time to go on; never 0
        std::chrono::milliseconds whole{};  // until everything is saved up again
        bool too_long = false;              // it has gone on for longer than its patience
        bool again = false;                 // what came before it was refused, too
    };

    // `config` outlives it.
    rate_limits(const session_settings& config, std::uint64_t hash_seed);

    client_key key_of(std::string_view client) const noexcept;

    // Limits of the client's own instead of the configuration's, until as many calls of leave() as of enter(). The last
    // ones that were said count. `limits` is not null.
    void enter(client_key client, std::shared_ptr<const client_limits> limits);
    void leave(client_key client);
    // One that has called enter() has others now.
    void renew(client_key client, std::shared_ptr<const client_limits> limits);
    const client_limits& of(client_key client) const;

    // A frame has come, and counts in any case. Something: no more should be read for so long.
    std::optional<excess> take_frame(client_key client, std::size_t octets, steady_time now);
    // One message to each of these channels. Something: none of them is to be published, and nothing was taken. What
    // follows is refused, too, until the wait is over: so a client that has sent much ahead and sends it again when the
    // wait is over keeps its order.
    std::optional<excess> take_publishes(client_key client, std::span<const std::size_t> channels, steady_time now);

    // Forgets accounts that are full, of so many that it looks at.
    void sweep(steady_time now, std::size_t budget);
    std::size_t accounts() const noexcept { return accounts_.size(); }
    std::uint64_t forgotten() const noexcept { return forgotten_; }  // for want of room

private:
    struct publish_bucket {
        token_bucket tokens;
        steady_time refused_until{};
    };
    struct account {
        token_bucket frames, octets;
        publish_bucket publishes;
        std::vector<std::pair<std::size_t, publish_bucket>> channels;  // those with a rate that it publishes to
        std::optional<steady_time> over_since;  // beyond a rate for the first time since it was full

        bool full(steady_time now) const;
        steady_time full_at() const;
    };
    struct own_limits {
        std::shared_ptr<const client_limits> what;
        std::size_t sockets = 0;
    };
    struct as_it_is {
        std::size_t operator()(client_key client) const noexcept { return client; }
    };

    account& account_of(client_key client, steady_time now);
    static publish_bucket& channel_bucket(account& of, std::size_t channel);
    static std::chrono::nanoseconds refusal_of(publish_bucket& of, const token_rate& by, std::uint64_t tokens,
                                               steady_time now);
    static excess note(account& of, const client_limits& limits, std::chrono::nanoseconds wait, steady_time now);

    const session_settings& config_;
    const std::uint64_t seed_;
    bool channels_limited_ = false;  // a channel has a rate
    std::unordered_map<client_key, account, as_it_is> accounts_;
    std::deque<client_key> to_look_at_;  // each account once, in turn
    std::unordered_map<client_key, own_limits, as_it_is> own_;
    std::uint64_t forgotten_ = 0;
};

// Sockets that are not read for a while. `go_on` is called from the wheel, once for each.
class paused_readers {
public:
    paused_readers(net::timing_wheel& wheel, const clock& time, std::function<void(member)> go_on)
        : wheel_(wheel), time_(time), go_on_(std::move(go_on)) {}

    void add(member who, std::chrono::milliseconds wait);
    void stop() { timer_.cancel(); }

private:
    struct pause {
        steady_time due;
        member who;
        friend auto operator<=>(const pause&, const pause&) = default;
    };

    void on_timer();
    void start_timer();

    net::timing_wheel& wheel_;
    const clock& time_;
    const std::function<void(member)> go_on_;
    std::priority_queue<pause, std::vector<pause>, std::greater<>> pauses_;
    net::wheel_timer timer_{this, [](paused_readers& self) { self.on_timer(); }};
};

}  // namespace foz::aggregator
