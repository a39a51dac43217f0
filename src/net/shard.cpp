#include "net/shard.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace foz::net {
namespace {

constexpr std::size_t read_buffer_bytes = 128 * 1024;
// A turn ends after this many handlers even when more are ready, so that queued writes never wait long.
constexpr int handlers_per_turn = 256;

}  // namespace

shard::shard(unsigned index, const clock& time, random_source& random)
    : index_(index),
      time_(time),
      random_(random),
      context_(1),
      work_(asio::make_work_guard(context_)),
      wheel_(time.now()),
      tick_timer_(context_),
      read_buffer_(read_buffer_bytes) {
    tick();
}

shard::~shard() = default;

void shard::post(task work) {
    bool wake = false;
    {
        const std::lock_guard lock(mail_mutex_);
        wake = mail_.empty();
        mail_.push_back(std::move(work));
    }
    if (wake) asio::post(context_, [this] { take_mail(); });
}

void shard::take_mail() {
    {
        const std::lock_guard lock(mail_mutex_);
        std::swap(mail_, taken_mail_);
    }
    for (task& work : taken_mail_) work();
    taken_mail_.clear();
}

void shard::at_turn_end(std::shared_ptr<turn_listener> listener) {
    turn_listeners_.push_back(std::move(listener));
}

void shard::end_turn() {
    // What a listener adds now belongs to this turn too: nothing else may wake the loop for it.
    while (!turn_listeners_.empty()) {
        std::swap(turn_listeners_, ending_);
        for (auto& listener : ending_) listener->on_turn_end();
        ending_.clear();
    }
}

void shard::run() {
    while (!stopped_.load(std::memory_order_relaxed)) {
        if (context_.run_one() == 0) break;
        turn();
    }
}

void shard::turn() {
    for (int i = 1; i < handlers_per_turn && !turn_over_ && context_.poll_one() != 0; ++i) {
    }
    end_turn();
    turn_over_ = false;
}

void shard::stop() {
    stopped_.store(true, std::memory_order_relaxed);
    context_.stop();
}

void shard::tick() {
    wheel_.advance(time_.now());
    tick_timer_.expires_after(timing_wheel::tick);
    tick_timer_.async_wait([this](boost::system::error_code error) {
        if (!error) tick();
    });
}

}  // namespace foz::net
