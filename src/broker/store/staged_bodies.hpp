// Large bodies on their way to files of their own, before their messages are put anywhere: what waits for a commit does
// not wait for them. One after the other, on a thread.
#pragma once

#include "broker/core/message.hpp"
#include "broker/store/engine.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>

namespace foz::broker {

// Lives on the broker's shard.
class staged_bodies {
public:
    using poster = std::function<void(std::function<void()>)>;
    // Why a body can't be written for now; empty when it can again. On the shard.
    using trouble = std::function<void(const std::string& why)>;
    // `kept`: it has a file now. Otherwise it has to go with its message.
    using written = std::function<void(body_number number, bool kept)>;

    staged_bodies(engine& disk, poster post, trouble tell);
    // What has not been written by then is not, and nobody hears of it.
    ~staged_bodies();
    staged_bodies(const staged_bodies&) = delete;
    staged_bodies& operator=(const staged_bodies&) = delete;

    // While there is no room for it, it is tried again twice a second.
    void stage(const message_ref& what, written done);
    // All that wait are told that they have no file, in order; nothing is written any more.
    void finish();
    // Is there, or was never ours to give away.
    bool has(body_number number) const { return there_.contains(number); }
    void remove(body_number number);

private:
    struct job {
        body_number number = 0;
        std::string_view body;
    };
    struct waiting {
        message_ref what;  // holds the octets that are being written
        written done;
    };

    void finished(body_number number, bool kept);
    void stop();
    void run();
    // With the lock, which it gives up meanwhile. False: there is no room.
    bool write(std::unique_lock<std::mutex>& lock, const job& one);

    engine& disk_;
    const poster post_;
    const trouble tell_;
    body_number last_ = 0;
    std::unordered_set<body_number> there_;
    std::map<body_number, waiting> waiting_;

    std::mutex mutex_;  // guards what follows
    std::condition_variable wake_;
    std::deque<job> writes_;
    std::deque<body_number> removes_;
    bool stopping_ = false;
    bool in_trouble_ = false;  // of the thread
    std::thread writer_;
};

}  // namespace foz::broker
