// The keys of one issuer, kept up to date. Internal to the module.
#pragma once

#include "identity/keys.hpp"
#include "identity/settings.hpp"
#include "identity/verifier.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace foz::identity {

// Keys from a URL or a file are read by a thread of this object's own: at once, then at every interval, and when they
// were asked for, never more often than the pause allows. When that fails, the keys that were there stay, and it is
// tried again after the pause (after 5 s at most while there are none). A secret is read once, in the constructor, as a
// file is for the first time.
//
// keys(), ask() and state() may be called from any thread; they hold a mutex for a few instructions and never wait for
// a fetch. The destructor ends the thread, and a fetch that is under way.
class key_source {
public:
    // Throws std::runtime_error, one line, when the secret or the file can't be used. `on_fetched` is called on this
    // object's thread after each fetch, whether it was good or not; it must not block and must not throw.
    key_source(issuer_settings settings, std::function<void()> on_fetched);
    ~key_source();
    key_source(const key_source&) = delete;
    key_source& operator=(const key_source&) = delete;

    // Null before the first good fetch.
    std::shared_ptr<const key_set> keys() const;
    // There may be newer keys: fetches them when the pause since the last fetch is over.
    void ask();
    // There can't be newer keys: they are a secret, or were read within the pause.
    bool is_current() const;
    key_state state() const;

private:
    using steady = std::chrono::steady_clock;

    void read_secret();
    std::expected<key_set, std::string> fetch() const;
    void take(std::expected<key_set, std::string> fetched);
    void run();
    // When the next fetch is due; with the mutex held.
    steady::time_point due() const;

    const issuer_settings settings_;
    const std::function<void()> on_fetched_;
    std::atomic<bool> stop_ = false;  // read by a fetch that is under way

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<const key_set> keys_;
    steady::time_point read_at_;  // of keys_
    steady::time_point fetched_at_;
    bool asked_ = false;
    bool fetching_ = false;
    std::size_t passed_over_ = 0;
    std::uint64_t fetches_ = 0;
    std::uint64_t failures_ = 0;
    std::string last_failure_;

    std::thread thread_;  // last: all the rest is there when it starts
};

}  // namespace foz::identity
