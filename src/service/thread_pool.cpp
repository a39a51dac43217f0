#include "service/thread_pool.hpp"

namespace foz::service {

void thread_pool::start(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { loop(); });
}

void thread_pool::hand_in(task work) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(work));
    }
    there_.notify_one();
}

void thread_pool::stop() {
    {
        const std::lock_guard lock(mutex_);
        end_ = true;
    }
    there_.notify_all();
    for (std::thread& one : threads_) one.join();
    threads_.clear();
}

void thread_pool::loop() {
    for (;;) {
        task next;
        {
            std::unique_lock lock(mutex_);
            there_.wait(lock, [this] { return end_ || !tasks_.empty(); });
            if (end_) return;
            next = std::move(tasks_.front());
            tasks_.pop_front();
        }
        next();
    }
}

}  // namespace foz::service
