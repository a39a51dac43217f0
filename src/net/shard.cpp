#include "net/shard.hpp"

#include <algorithm>
#include <cassert>
#include <malloc.h>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace foz::net {
namespace {

constexpr std::size_t read_buffer_bytes = 128 * 1024;
constexpr std::size_t write_buffer_bytes = 16 * 1024;
// After a stall, timers wait until all that was ready has been read, but no longer than this.
constexpr std::chrono::milliseconds timers_held_max{2'000};
// Memory is trimmed after so many connections have gone and none has for a while; at the latest after the maximum.
constexpr std::size_t trim_after_gone = 1'000;
constexpr std::chrono::milliseconds trim_calm{2'000};
constexpr std::chrono::milliseconds trim_interval_max{30'000};
// Between two looks at the clock while sockets are written to.
constexpr std::size_t writes_between_looks = 8;
// Sockets that are put off in one turn.
constexpr std::size_t put_off_max = 4'096;

}  // namespace

shard::shard(unsigned index, const clock& time, random_source& random, const turn_limits& limits,
             const mailbox_limits& mail_limits)
    : index_(index),
      time_(time),
      random_(random),
      limits_(limits),
      mail_limits_(mail_limits),
      context_(1),
      work_(asio::make_work_guard(context_)),
      wheel_(time),
      tick_timer_(context_),
      pollers_{asio::posix::stream_descriptor(context_, sockets_[0].descriptor()),
               asio::posix::stream_descriptor(context_, sockets_[1].descriptor())},
      read_buffer_(read_buffer_bytes),
      write_buffer_(write_buffer_bytes) {
    tick();
    await_sockets(lane::settled);
    await_sockets(lane::arriving);
}

// Streams that are left end while everything that they use is still there.
shard::~shard() {
    for (poller& each : sockets_) each.clear();
    for (auto& each : pollers_) each.release();
}

// With mail_mutex_ held: one wake-up for all that comes until the loop has seen it.
void shard::wake(bool& woken) {
    if (std::exchange(woken, true)) return;
    asio::post(context_, [this] {
        note_awake();
        mail_waiting_ = true;
    });
}

bool shard::post(task work, std::size_t octets) {
    const std::size_t before = mail_octets_.fetch_add(octets, std::memory_order_relaxed);
    mail_letters_.fetch_add(1, std::memory_order_relaxed);
    const std::lock_guard lock(mail_mutex_);
    mail_.push_back({std::move(work), octets});
    wake(woken_);
    return before + octets <= mail_limits_.high_bytes;
}

void shard::post_control(task work) {
    const std::lock_guard lock(mail_mutex_);
    controls_.push_back(std::move(work));
    controls_waiting_.store(true, std::memory_order_release);
    wake(woken_);
}

void shard::when_room(shard& waiting, task tell) {
    {
        const std::lock_guard lock(mail_mutex_);
        // Said before looking: settle_mail() subtracts before it looks here, so that one of us sees the other.
        room_wanted_.store(true);
        if (mail_octets_.load() > mail_limits_.low_bytes) {
            waiting_.push_back({&waiting, std::move(tell)});
            return;
        }
    }
    waiting.post_control(std::move(tell));
}

void shard::settle_mail(std::size_t letters, std::size_t octets) {
    mail_letters_.fetch_sub(letters, std::memory_order_relaxed);
    const std::size_t before = mail_octets_.fetch_sub(octets);
    assert(before >= octets);
    if (before - octets > mail_limits_.low_bytes || !room_wanted_.load()) return;
    std::vector<waiting_shard> told;
    {
        const std::lock_guard lock(mail_mutex_);
        room_wanted_.store(false);
        std::swap(told, waiting_);
    }
    for (waiting_shard& one : told) one.who->post_control(std::move(one.tell));
}

bool shard::run_controls() {
    if (!controls_waiting_.load(std::memory_order_acquire)) return false;
    {
        const std::lock_guard lock(mail_mutex_);
        controls_waiting_.store(false, std::memory_order_relaxed);
        std::swap(controls_, taken_controls_);
    }
    for (task& work : taken_controls_) work();
    taken_controls_.clear();
    return true;
}

// The letters that are taken next lie in taken_mail_; false when there are none.
bool shard::next_batch() {
    if (taken_at_ < taken_mail_.size()) return true;
    taken_mail_.clear();
    taken_at_ = 0;
    const std::lock_guard lock(mail_mutex_);
    std::swap(mail_, taken_mail_);
    if (!taken_mail_.empty()) return true;
    woken_ = controls_waiting_.load(std::memory_order_relaxed);
    mail_waiting_ = woken_;
    return false;
}

bool shard::take_mail(std::size_t& letters_left) {
    if (!mail_waiting_) return false;
    const steady_time until = time_.now() + limits_.mail;
    std::size_t letters = 0;
    std::size_t octets = 0;
    while (letters_left > 0 && !turn_over_ && next_batch()) {
        {
            letter one = std::move(taken_mail_[taken_at_++]);
            octets += one.octets;
            ++letters;
            --letters_left;
            one.work();
        }
        run_controls();
        if (time_.now() >= until) break;
    }
    probe_.letters += letters;
    if (letters > 0) settle_mail(letters, octets);
    return letters > 0;
}

void shard::in_portions(step work) {
    portions_.push_back(std::move(work));
}

void shard::run_portions() {
    if (portions_.empty()) return;
    const steady_time end = time_.now() + limits_.portions;
    for (std::size_t left = portions_.size(); left > 0; --left) {
        step work = std::move(portions_.front());
        portions_.pop_front();
        portion_end_ = time_.now() + limits_.portion;
        if (work()) portions_.push_back(std::move(work));
        if (time_.now() >= end) return;
    }
}

void shard::at_turn_end(std::shared_ptr<turn_listener> listener, write_line which) {
    lines_[static_cast<std::size_t>(which)].waiting.push_back(std::move(listener));
}

void shard::end_turn() {
    // Who comes back, since much is to be written, does so in the next turn.
    for (const auto& one : std::exchange(lines_[0].waiting, {})) one->on_turn_end(write_line::first);
    for (const write_line which : {write_line::soon, write_line::round}) run_line(which, time_.now() + limits_.writes);
}

void shard::run_line(write_line which, steady_time until) {
    line& all = lines_[static_cast<std::size_t>(which)];
    for (std::size_t done = 1;; ++done) {
        if (all.at == all.running.size()) {
            all.running.clear();
            all.at = 0;
            // What a listener adds now belongs to this turn too: nothing else may wake the loop for it.
            std::swap(all.waiting, all.running);
            if (all.running.empty()) return;
        }
        const auto listener = std::move(all.running[all.at++]);
        listener->on_turn_end(which);
        if (done % writes_between_looks == 0 && time_.now() >= until) return;
    }
}

// Anything that does not wait for the reactor?
bool shard::has_work() const noexcept {
    const auto none_put_off = [](const poller& one) { return one.put_off_count() == 0; };
    return sockets_ready() || !std::ranges::all_of(sockets_, none_put_off) || mail_waiting_ || !portions_.empty() ||
           timers_overdue_ || !std::ranges::all_of(lines_, &line::empty);
}

void shard::run() {
    running_ = true;
    awake_since_ = ticked_at_ = trimmed_at_ = time_.now();
    while (!stopped_.load(std::memory_order_relaxed)) {
        if (!has_work()) {
            if (context_.run_one() == 0) break;
            ++probe_.handlers;
        }
        turn();
    }
    running_ = false;
}

bool shard::run_handlers(std::size_t& handlers_left) {
    const steady_time until = time_.now() + limits_.handlers;
    bool any = false;
    while (handlers_left > 0 && !turn_over_) {
        if (context_.poll_one() == 0) {
            idle_ = true;
            break;
        }
        any = true;
        --handlers_left;
        ++probe_.handlers;
        if (time_.now() >= until) break;
    }
    return any;
}

bool shard::run_sockets(lane of, std::size_t& left) {
    if (!ready_[static_cast<std::size_t>(of)]) return false;
    const steady_time until = time_.now() + (of == lane::settled ? limits_.handlers : limits_.arrivals);
    bool any = false;
    std::size_t put_off = 0;
    while (left > 0 && !turn_over_) {
        const std::size_t before = sockets(of).put_off_count();
        if (!sockets(of).run_one()) {
            await_sockets(of);
            break;
        }
        any = true;
        // This was quick, and who stands behind it shall have its turn.
        if (sockets(of).put_off_count() > before && ++put_off < put_off_max) continue;
        --left;
        ++probe_.handlers;
        if (time_.now() >= until) break;
    }
    return any;
}

bool shard::run_put_off(std::size_t& left) {
    const steady_time until = time_.now() + limits_.arrivals;
    bool any = false;
    for (poller& of : sockets_)
        while (left > 0 && !turn_over_ && of.run_one_put_off()) {
            any = true;
            --left;
            ++probe_.handlers;
            if (time_.now() >= until) return any;
        }
    return any;
}

// Asio asks for what is ready as it begins to wait: nothing that comes in between is lost.
void shard::await_sockets(lane of) {
    const auto at = static_cast<std::size_t>(of);
    ready_[at] = false;
    pollers_[at].async_wait(asio::posix::stream_descriptor::wait_read, [this, at](boost::system::error_code error) {
        if (error) return;
        note_awake();
        ready_[at] = true;
    });
}

void shard::turn() {
    note_awake();
    idle_ = false;
    std::size_t handlers_left = limits_.handlers_max;
    std::size_t settled_left = limits_.handlers_max;
    std::size_t arriving_left = limits_.arrivals_max;
    std::size_t put_off_left = limits_.handlers_max;
    std::size_t letters_left = limits_.letters_max;
    const steady_time until = turn_began_ + limits_.handlers + limits_.mail;
    for (bool progress = true; progress && !turn_over_;) {
        progress = run_controls();
        progress |= run_handlers(handlers_left);
        progress |= run_sockets(lane::settled, settled_left);
        progress |= run_sockets(lane::arriving, arriving_left);
        progress |= run_put_off(put_off_left);
        progress |= take_mail(letters_left);
        if (time_.now() >= until) break;
    }
    run_portions();
    run_timers();
    end_turn();
    turn_over_ = false;
    queued_in_turn_ = 0;
    probe_.count_turn(time_.now() - turn_began_);
    turn_began_ = {};
}

void shard::stop() {
    stopped_.store(true, std::memory_order_relaxed);
    context_.stop();
}

void shard::run_timers() {
    if (!tick_due_ && !timers_overdue_) return;
    const steady_time now = time_.now();
    if (std::exchange(tick_due_, false)) {
        const auto away = now - std::exchange(ticked_at_, now);
        if (running_ && away > stall_min) {
            ++probe_.stalls;
            probe_.stall_longest = std::max<std::chrono::nanoseconds>(probe_.stall_longest, away);
            awake_since_ = now;
            timers_held_until_ = now + timers_held_max;
        }
        tick();
        trim_memory(now);
    }
    // What the sockets hold comes first.
    timers_overdue_ = true;
    if (now < timers_held_until_ && (!idle_ || sockets_ready())) return;
    timers_held_until_ = {};
    timers_overdue_ = !wheel_.advance(now, limits_.timers_max);
}

// glibc keeps what was freed. After many connections have gone, and the others have come to rest, it is asked to give
// it back; among connections that come and go all the time, now and then.
void shard::trim_memory(steady_time now) {
    if (gone_ != std::exchange(gone_seen_, gone_)) calm_since_ = now;
    if (gone_ < trim_after_gone) return;
    if (now - calm_since_ < trim_calm && now - trimmed_at_ < trim_interval_max) return;
    gone_ = gone_seen_ = 0;
    trimmed_at_ = now;
    ::malloc_trim(0);
}

void shard::tick() {
    tick_timer_.expires_after(timing_wheel::tick);
    tick_timer_.async_wait([this](boost::system::error_code error) {
        if (error) return;
        note_awake();
        tick_due_ = true;
    });
}

}  // namespace foz::net
