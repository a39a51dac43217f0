// Something that can be killed, stopped and started.
#pragma once

#include "core/scheduler.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace foz::sim {

class pipe;

// While it is stopped (SIGSTOP) nothing of it runs: its timers fire when it goes on, after what waits in its sockets.
// What it has arranged ends with it.
class process {
public:
    process(scheduler& time, std::string name) : time_(time), name_(std::move(name)) {}
    virtual ~process() = default;
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    const std::string& name() const noexcept { return name_; }
    bool up() const noexcept { return up_; }
    bool running() const noexcept { return up_ && !stopped_; }
    bool stopped() const noexcept { return up_ && stopped_; }
    std::uint32_t incarnation() const noexcept { return incarnation_; }
    // When it was started, or went on last.
    steady_time awake_since() const noexcept { return awake_since_; }

    void start();
    void kill();
    void stop();
    void go_on();

    void after(duration span, action what);
    // What it reads from.
    void reads(const std::shared_ptr<pipe>& from) { inputs_.push_back(from); }

protected:
    virtual void on_start() {}
    virtual void on_kill() {}

    scheduler& time_;

private:
    void expire(std::uint32_t of, action what);

    const std::string name_;
    bool up_ = false;
    bool stopped_ = false;
    steady_time awake_since_{};
    std::uint32_t incarnation_ = 0;
    std::vector<action> overdue_;
    std::vector<std::weak_ptr<pipe>> inputs_;
};

}  // namespace foz::sim
