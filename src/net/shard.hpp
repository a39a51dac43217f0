// A shard: one core's event loop and what belongs to it.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "net/timing_wheel.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::net {

namespace asio = boost::asio;

// Work that is put off until everything that was ready in this turn of the loop has been handled, so that many
// small sends become one write.
class turn_listener {
public:
    virtual ~turn_listener() = default;
    virtual void on_turn_end() = 0;
};

// One thread runs a shard; everything on it is called on that thread unless it says otherwise. A shard outlives
// whatever lives on it.
class shard {
public:
    using task = std::move_only_function<void()>;

    // Clock and randomness outlive the shard.
    shard(unsigned index, const clock& time, random_source& random);
    shard(const shard&) = delete;
    shard& operator=(const shard&) = delete;
    ~shard();

    unsigned index() const noexcept { return index_; }
    asio::io_context& context() noexcept { return context_; }
    timing_wheel& wheel() noexcept { return wheel_; }
    const clock& time() const noexcept { return time_; }
    random_source& random() noexcept { return random_; }

    // The mailbox. From any thread: runs the task on the shard's thread, tasks of one sender in order. A batch of
    // posts costs one wake-up.
    void post(task work);

    // Calls listener->on_turn_end() once at the end of this turn.
    void at_turn_end(std::shared_ptr<turn_listener> listener);

    // This turn ends when the handler that runs returns, whatever else is ready: much waits to be written, and it is
    // written best while it is still in the cache.
    void end_turn_soon() noexcept { turn_over_ = true; }

    // Scratch memory for reading from sockets, shared by all connections of the shard: an idle connection needs no
    // buffer of its own. Its content is valid until the next read.
    std::span<char> read_buffer() noexcept { return read_buffer_; }

    // Runs the loop on the calling thread until stop().
    void run();
    // From any thread.
    void stop();
    // One turn: what is ready, then its end; waits for nothing. For those who own the time (tests, simulations).
    void turn();

private:
    void take_mail();
    void end_turn();
    void tick();

    const unsigned index_;
    const clock& time_;
    random_source& random_;
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    timing_wheel wheel_;
    asio::steady_timer tick_timer_;
    std::vector<std::shared_ptr<turn_listener>> turn_listeners_;
    std::vector<std::shared_ptr<turn_listener>> ending_;
    std::vector<char> read_buffer_;
    bool turn_over_ = false;
    std::atomic<bool> stopped_ = false;

    std::mutex mail_mutex_;  // guards mail_
    std::vector<task> mail_;
    std::vector<task> taken_mail_;
};

}  // namespace foz::net
