// Passwords are checked off the event loops.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace foz::ops {

// One thread, so that however many try, one core at most is busy with it.
class password_thread {
public:
    // Jobs that wait, at most.
    static constexpr std::size_t waiting_max = 16;

    password_thread() = default;
    // What waits is not done any more; waits for what runs.
    ~password_thread();
    password_thread(const password_thread&) = delete;
    password_thread& operator=(const password_thread&) = delete;

    // Calls done(whether it matches) on the thread. False when too much waits: then never. From one thread.
    bool check(std::string password, std::string hash, std::function<void(bool)> done);

private:
    struct job {
        std::string password;
        std::string hash;
        std::function<void(bool)> done;
    };
    void run();

    std::mutex mutex_;  // guards the next two
    std::deque<job> waiting_;
    bool stopping_ = false;
    std::condition_variable changed_;
    std::thread thread_;  // begins with the first password
};

}  // namespace foz::ops
