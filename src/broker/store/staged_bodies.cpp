#include "broker/store/staged_bodies.hpp"

#include "base/thread.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::chrono::milliseconds room_interval{500};

}  // namespace

staged_bodies::staged_bodies(engine& disk, poster post, trouble tell)
    : disk_(disk), post_(std::move(post)), tell_(std::move(tell)) {
    for (const body_number one : disk_.bodies()) {
        there_.insert(one);
        last_ = std::max(last_, one);
    }
    writer_ = std::thread([this] {
        introduce_thread("bodies");
        run();
    });
}

staged_bodies::~staged_bodies() {
    stop();
}

void staged_bodies::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (writer_.joinable()) writer_.join();
}

void staged_bodies::stage(const message_ref& what, written done) {
    const body_number number = ++last_;
    waiting_.emplace(number, waiting{.what = what, .done = std::move(done)});
    {
        const std::lock_guard lock(mutex_);
        writes_.push_back({.number = number, .body = what->body()});
    }
    wake_.notify_one();
}

void staged_bodies::finish() {
    stop();
    while (!waiting_.empty()) finished(waiting_.begin()->first, false);
}

void staged_bodies::remove(body_number number) {
    if (there_.erase(number) == 0) return;
    {
        const std::lock_guard lock(mutex_);
        removes_.push_back(number);
    }
    wake_.notify_one();
}

void staged_bodies::finished(body_number number, bool kept) {
    const auto at = waiting_.find(number);
    if (at == waiting_.end())
        return;  // finish() was earlier: the next start finds the file, and nothing that refers to it
    const waiting one = std::move(at->second);
    waiting_.erase(at);
    if (kept) {
        there_.insert(number);
        one.what.set_body_file(number);
    }
    one.done(number, kept);
}

// On the thread. What takes room away waits for what gives it back.
void staged_bodies::run() {
    std::unique_lock lock(mutex_);
    bool room = true;
    for (;;) {
        const auto due = [&] { return stopping_ || !removes_.empty() || (room && !writes_.empty()); };
        if (room)
            wake_.wait(lock, due);
        else
            wake_.wait_for(lock, room_interval, due);
        if (stopping_) return;
        if (!removes_.empty() && (writes_.empty() || !room)) {
            const body_number gone = removes_.front();
            removes_.pop_front();
            lock.unlock();
            disk_.remove_body(gone);
            lock.lock();
            continue;
        }
        if (writes_.empty()) continue;
        room = write(lock, writes_.front());
        if (room) writes_.pop_front();
    }
}

bool staged_bodies::write(std::unique_lock<std::mutex>& lock, const job& one) {
    const job now = one;
    lock.unlock();
    const auto done = disk_.keep_body(now.number, now.body);
    const bool room = done || done.error().final;
    if (room == in_trouble_) {
        in_trouble_ = !room;
        post_([this, why = room ? std::string() : done.error().text] { tell_(why); });
    }
    if (room) post_([this, number = now.number, kept = done.has_value()] { finished(number, kept); });
    lock.lock();
    return room;
}

}  // namespace foz::broker
