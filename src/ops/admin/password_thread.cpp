#include "ops/admin/password_thread.hpp"

#include "base/thread.hpp"
#include "ops/admin/passwords.hpp"

#include <utility>

#include <openssl/crypto.h>

namespace foz::ops {

password_thread::~password_thread() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

bool password_thread::check(std::string password, std::string hash, std::function<void(bool)> done) {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= waiting_max) return false;
        waiting_.push_back({std::move(password), std::move(hash), std::move(done)});
    }
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    changed_.notify_all();
    return true;
}

void password_thread::run() {
    introduce_thread("passwords");
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        job next = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        const bool matches = password_matches(next.password, next.hash);
        OPENSSL_cleanse(next.password.data(), next.password.size());
        next.done(matches);
        lock.lock();
    }
}

}  // namespace foz::ops
