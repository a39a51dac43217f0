// One direction of a connection: what is sent arrives later, in order, or never.
#pragma once

#include "core/process.hpp"
#include "core/random.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

namespace foz::sim {

struct pipe_options {
    duration latency_min{std::chrono::microseconds(100)};
    duration latency_max{std::chrono::milliseconds(2)};
    std::size_t capacity = 64 * 1024;  // on its way and not read yet: more would block
};

// What arrives happens in the receiver; while the receiver is stopped, or does not read, it waits here, as in the
// kernel's buffers. Kept alive by what is on its way.
class pipe final : public std::enable_shared_from_this<pipe> {
public:
    static std::shared_ptr<pipe> make(scheduler& time, rng& random, process& receiver, pipe_options options);

    void send(std::size_t octets, action arrival);
    // Everything on its way is lost, and so is what is sent from now on.
    void cut();
    // The network stalls: nothing arrives until then, and nothing is lost.
    void stall(duration span);
    // The receiver does not read.
    void pause(bool is);

    bool has_room() const noexcept { return octets_ < options_.capacity; }
    bool is_cut() const noexcept { return cut_; }
    bool paused() const noexcept { return paused_; }
    std::size_t octets() const noexcept { return octets_; }
    // There was no room, and there is again. Called in the sender's time, soon after.
    std::function<void()> on_room;

    // The receiver can read again.
    void pump();

private:
    struct parcel {
        steady_time when;
        std::size_t octets;
        action arrival;
    };
    struct token {};

public:
    pipe(token, scheduler& time, rng& random, process& receiver, pipe_options options)
        : time_(time), random_(random), receiver_(receiver), options_(options) {}

private:
    void arrange();
    void wake();

    scheduler& time_;
    rng& random_;
    process& receiver_;
    const pipe_options options_;
    std::deque<parcel> parcels_;
    std::size_t octets_ = 0;
    steady_time last_{};
    steady_time stalled_until_{};
    bool full_ = false;
    bool cut_ = false;
    bool paused_ = false;
    bool arranged_ = false;
};

}  // namespace foz::sim
