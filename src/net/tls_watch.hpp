// Looks after the files of TLS contexts, on a thread of its own.
#pragma once

#include "net/tls_holder.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace foz::net {

class tls_watch {
public:
    struct options {
        std::chrono::milliseconds interval{2'000};
        // Holders that are looked at besides those of add(), for example of servers that connections go to. Called on
        // the watch's thread. May be empty.
        std::function<std::vector<std::shared_ptr<tls_holder>>()> more{};
    };
    // `tell` is called on the watch's thread.
    tls_watch(const clock& time, std::function<void(const tls_news&)> tell, options how);
    // Waits for a look that is under way.
    ~tls_watch() = default;

    // From any thread. Null is passed over.
    void add(std::shared_ptr<tls_holder> holder);
    // From any thread: all files are read again soon, and what comes of it is told, also when nothing has changed.
    void look_now();

private:
    void run(const std::stop_token& stop);

    const clock& time_;
    const std::function<void(const tls_news&)> tell_;
    const options how_;
    std::mutex mutex_;  // guards the next two
    std::vector<std::shared_ptr<tls_holder>> holders_;
    bool asked_ = false;
    std::condition_variable_any wake_;
    std::jthread thread_;  // the last member: it uses the others
};

}  // namespace foz::net
