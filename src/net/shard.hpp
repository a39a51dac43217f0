// A shard: one core's event loop and what belongs to it.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "net/poller.hpp"
#include "net/timing_wheel.hpp"
#include "net/turn.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::net {

namespace asio = boost::asio;

// Sockets that have only just come take a turn's second share: when a thousand come at once, each has much to say and
// to be told, and those who are there already don't wait behind them.
enum class lane : std::uint8_t { settled, arriving };

// Who writes before whom at the end of a turn. Each line but the first has a share of the turn; what is left goes on in
// the next one.
enum class write_line : std::uint8_t {
    first,  // the few whose octets many wait for; all of them in each turn
    soon,   // what is meant for one socket: an answer doesn't wait behind a message to very many
    round,  // everything else, in turn
};

// Work that is put off until everything that was ready in this turn of the loop has been handled, so that many
// small sends become one write.
class turn_listener {
public:
    virtual ~turn_listener() = default;
    virtual void on_turn_end(write_line which) = 0;
};

// One thread runs a shard; everything on it is called on that thread unless it says otherwise. A shard outlives
// whatever lives on it.
//
// The loop goes round in turns that are bounded (turn_limits), so that whoever has much to do leaves the others on the
// same core their latency. After a stall (a process that was stopped, a machine that slept) everything that waits in
// the sockets is read before a timer runs: nobody is believed silent whose octets are there already.
class shard {
public:
    using task = std::move_only_function<void()>;
    using step = std::move_only_function<bool()>;

    static constexpr std::size_t lanes = 2;
    // A loop that was away for longer has stalled.
    static constexpr std::chrono::milliseconds stall_min{1'000};

    // Clock and randomness outlive the shard.
    shard(unsigned index, const clock& time, random_source& random, const turn_limits& limits = {},
          const mailbox_limits& mail_limits = {});
    shard(const shard&) = delete;
    shard& operator=(const shard&) = delete;
    ~shard();

    unsigned index() const noexcept { return index_; }
    asio::io_context& context() noexcept { return context_; }
    // Those of its connections.
    poller& sockets(lane of) noexcept { return sockets_[static_cast<std::size_t>(of)]; }
    timing_wheel& wheel() noexcept { return wheel_; }
    const clock& time() const noexcept { return time_; }
    random_source& random() noexcept { return random_; }

    // The mailbox. From any thread: runs the task on the shard's thread, tasks of one sender in order. A batch of
    // posts costs one wake-up. Nothing is ever dropped. `octets` is what the task keeps in memory until it has run;
    // false when there is no room for more: the task will run all the same, and whoever posts much stops until
    // when_room() tells.
    bool post(task work, std::size_t octets = 0);
    // Octets of tasks that have not run yet. From any thread.
    std::size_t mailbox_octets() const noexcept { return mail_octets_.load(std::memory_order_relaxed); }
    std::size_t mailbox_letters() const noexcept { return mail_letters_.load(std::memory_order_relaxed); }
    bool mailbox_has_room() const noexcept { return mailbox_octets() <= mail_limits_.high_bytes; }
    // From any thread: posts `tell` to the other shard's controls, once, as soon as the mailbox has fallen to its low
    // mark; at once when it is below it.
    void when_room(shard& waiting, task tell);

    // The control lane, from any thread: runs before the mail, however much of that waits. Controls of one sender run
    // in order; they may overtake its mail.
    void post_control(task work);

    // Background work: calls `work` once a turn, with other such work in rotation, until it returns false. A step stops
    // by itself when portion_spent(). To end it from outside, let the step find that its owner has gone.
    void in_portions(step work);
    // Has the step that runs used up its share? Costs a look at the clock.
    bool portion_spent() const { return time_.now() >= portion_end_; }

    // Calls listener->on_turn_end() once at the end of this turn, or of one of the next when there are very many.
    void at_turn_end(std::shared_ptr<turn_listener> listener, write_line which = write_line::round);

    // This turn ends when the handler that runs returns, whatever else is ready: much waits to be written, and it is
    // written best while it is still in the cache.
    void end_turn_soon() noexcept { turn_over_ = true; }
    // Octets that were queued for a socket in this turn; many end it soon.
    void count_queued(std::size_t octets) noexcept {
        if ((queued_in_turn_ += octets) >= limits_.queued_bytes_max) turn_over_ = true;
    }

    // All streams of this shard together.
    void add_queued(std::size_t octets) noexcept { queued_bytes_ += octets; }
    void remove_queued(std::size_t octets) noexcept { queued_bytes_ -= octets; }
    std::size_t queued_bytes() const noexcept { return queued_bytes_; }

    // A connection has ended. When very many have, their memory is given back to the system.
    void count_gone() noexcept { ++gone_; }

    // Since when the loop has been running without a stall. What was not heard before counts for nobody's silence.
    steady_time awake_since() const noexcept { return awake_since_; }

    // A handler begins that the loop may have been waiting for: the turn's length counts from here. Handlers of this
    // module say it by themselves.
    void note_awake() {
        if (turn_began_ == steady_time{}) turn_began_ = time_.now();
    }
    const shard_probe& probe() const noexcept { return probe_; }
    // The longest turn since this was last asked.
    std::chrono::nanoseconds take_longest_turn() noexcept { return std::exchange(probe_.turn_longest, {}); }

    // Scratch memory for reading from sockets, shared by all connections of the shard: an idle connection needs no
    // buffer of its own. Its content is valid until the next read.
    std::span<char> read_buffer() noexcept { return read_buffer_; }
    // The same for a write: 16 KB whose content is valid until the next one.
    std::span<char> write_buffer() noexcept { return write_buffer_; }

    // Runs the loop on the calling thread until stop().
    void run();
    // From any thread.
    void stop();
    // One turn: what is ready, then its end; waits for nothing. For those who own the time (tests, simulations).
    void turn();

private:
    struct letter {
        task work;
        std::size_t octets = 0;
    };
    struct waiting_shard {
        shard* who;
        task tell;
    };

    void wake(bool& woken);
    bool run_controls();
    bool take_mail(std::size_t& letters_left);
    bool next_batch();
    void settle_mail(std::size_t letters, std::size_t octets);
    bool run_handlers(std::size_t& handlers_left);
    bool run_sockets(lane of, std::size_t& left);
    bool run_put_off(std::size_t& left);
    void await_sockets(lane of);
    bool sockets_ready() const noexcept { return ready_[0] || ready_[1]; }
    void run_portions();
    void run_timers();
    void end_turn();
    void run_line(write_line which, steady_time until);
    void tick();
    void trim_memory(steady_time now);
    bool has_work() const noexcept;

    const unsigned index_;
    const clock& time_;
    random_source& random_;
    const turn_limits limits_;
    const mailbox_limits mail_limits_;
    std::array<poller, lanes> sockets_;
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    timing_wheel wheel_;
    asio::steady_timer tick_timer_;
    std::array<asio::posix::stream_descriptor, lanes> pollers_;  // each poller's own descriptor
    std::array<bool, lanes> ready_{};                            // some sockets of the lane are, or may be

    // This turn.
    steady_time turn_began_{};  // zero: not begun
    std::size_t queued_in_turn_ = 0;
    std::size_t queued_bytes_ = 0;
    bool turn_over_ = false;
    bool idle_ = false;  // a poll has found nothing ready
    bool running_ = false;
    shard_probe probe_;

    // Writes.
    struct line {
        bool empty() const noexcept { return waiting.empty() && at == running.size(); }
        std::vector<std::shared_ptr<turn_listener>> waiting;
        std::vector<std::shared_ptr<turn_listener>> running;
        std::size_t at = 0;  // of these
    };
    std::array<line, 3> lines_;

    // Timers.
    bool tick_due_ = false;
    bool timers_overdue_ = false;
    steady_time ticked_at_{};
    steady_time awake_since_{};
    steady_time timers_held_until_{};

    std::size_t gone_ = 0;  // connections, since the memory was trimmed
    std::size_t gone_seen_ = 0;
    steady_time calm_since_{};
    steady_time trimmed_at_{};

    std::deque<step> portions_;
    steady_time portion_end_{};

    std::vector<char> read_buffer_;
    std::vector<char> write_buffer_;
    std::atomic<bool> stopped_ = false;

    std::atomic<std::size_t> mail_octets_ = 0;
    std::atomic<std::size_t> mail_letters_ = 0;
    std::atomic<bool> room_wanted_ = false;
    std::mutex mail_mutex_;  // guards the next four
    std::vector<letter> mail_;
    std::vector<task> controls_;
    std::vector<waiting_shard> waiting_;
    bool woken_ = false;  // the loop knows that there is something
    std::atomic<bool> controls_waiting_ = false;

    bool mail_waiting_ = false;  // the rest is the shard's own
    std::vector<letter> taken_mail_;
    std::size_t taken_at_ = 0;
    std::vector<task> taken_controls_;
};

}  // namespace foz::net
