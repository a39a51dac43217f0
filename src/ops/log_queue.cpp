#include "ops/log_queue.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>

namespace foz::ops {
namespace {

// poll() says "writable" of a pipe that has room for PIPE_BUF octets: a write of so many does not block.
constexpr std::size_t piece_bytes = 4096;
constexpr int poll_ms = 100;

}  // namespace

// The writer's thread may outlive the queue, when the descriptor holds it.
struct log_queue::shared {
    explicit shared(log_queue_options o) : options(std::move(o)) {}

    // Waits until the descriptor takes something; false when the time for it is over.
    bool wait_writable() const {
        for (;;) {
            pollfd one{.fd = options.descriptor, .events = POLLOUT, .revents = 0};
            if (::poll(&one, 1, poll_ms) != 0) return true;  // also with an error: write() tells which
            if (given_up) return false;
        }
    }
    bool write_all(std::string_view text) const {
        while (!text.empty()) {
            if (!wait_writable()) return false;
            const ssize_t size = ::write(options.descriptor, text.data(), std::min(text.size(), piece_bytes));
            if (size < 0 && errno != EINTR && errno != EAGAIN) return false;
            if (size > 0) text.remove_prefix(static_cast<std::size_t>(size));
        }
        return true;
    }

    const log_queue_options options;
    std::atomic<std::uint64_t> dropped = 0;
    std::atomic<bool> given_up = false;  // what can't be written at once is not written any more
    std::mutex mutex;                    // guards what follows
    std::condition_variable changed;
    std::string waiting;
    std::uint64_t lines = 0;           // in `waiting`
    std::uint64_t dropped_untold = 0;  // since the last line
    bool ending = false;
    bool ended = false;
};

log_queue::log_queue(log_queue_options options)
    : shared_(std::make_shared<shared>(std::move(options))), farewell_(shared_->options.farewell) {
    std::thread writer([all = shared_] { run(all); });
    ::pthread_setname_np(writer.native_handle(), "log");
    writer.detach();
}

log_queue::~log_queue() {
    std::unique_lock lock(shared_->mutex);
    shared_->ending = true;
    shared_->changed.notify_all();
    const auto ended = [this] { return shared_->ended; };
    if (shared_->changed.wait_for(lock, farewell_, ended)) return;
    shared_->given_up = true;
    shared_->changed.wait_for(lock, std::chrono::milliseconds(3 * poll_ms), ended);
}

void log_queue::push(std::string line) {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->waiting.size() + line.size() > shared_->options.bytes_max) {
        ++shared_->dropped;
        ++shared_->dropped_untold;
        return;
    }
    const bool idle = shared_->waiting.empty();
    shared_->waiting += line;
    ++shared_->lines;
    if (idle) shared_->changed.notify_all();
}

std::uint64_t log_queue::dropped() const noexcept {
    return shared_->dropped.load(std::memory_order_relaxed);
}

void log_queue::run(const std::shared_ptr<shared>& all) {
    std::unique_lock lock(all->mutex);
    const auto called = [&] { return !all->waiting.empty() || all->ending; };
    for (;;) {
        if (!all->options.every_second) {
            all->changed.wait(lock, called);
        } else if (!all->changed.wait_for(lock, std::chrono::seconds(1), called)) {
            lock.unlock();
            all->options.every_second();
            lock.lock();
            continue;
        }
        if (all->waiting.empty()) break;
        std::string text = std::exchange(all->waiting, {});
        const std::uint64_t lines = std::exchange(all->lines, 0);
        // What was dropped came after what waits.
        const std::uint64_t dropped = std::exchange(all->dropped_untold, 0);
        if (dropped > 0 && all->options.tell_dropped) text += all->options.tell_dropped(dropped);
        lock.unlock();
        const bool written = all->write_all(text);
        lock.lock();
        if (!written) all->dropped += lines;
        if (all->given_up) break;
    }
    all->ended = true;
    all->changed.notify_all();
}

}  // namespace foz::ops
