// Threads for users' code, apart from the I/O thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace foz::service {

// Tasks begin in the order in which they are handed in; with one thread they also end in it. Whoever hands in bounds
// how many wait.
class thread_pool {
public:
    using task = std::move_only_function<void()>;

    ~thread_pool() { stop(); }

    void start(unsigned threads);
    void hand_in(task work);
    // Waits for what was begun; what was not is dropped, now and later.
    void stop();

private:
    void loop();

    std::mutex mutex_;  // guards tasks_ and end_
    std::condition_variable there_;
    std::deque<task> tasks_;
    bool end_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace foz::service
