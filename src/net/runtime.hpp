// All shards of a process and the threads that run them.
#pragma once

#include "net/shard.hpp"

#include <memory>
#include <vector>

namespace foz::net {

class runtime {
public:
    // threads ≥ 1; 0 means one for each core that this process may use.
    explicit runtime(unsigned threads, const clock& time = default_clock(), random_source& random = system_random());
    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;
    ~runtime();

    // How many a runtime that is told so has.
    static unsigned threads_of(unsigned threads);

    unsigned size() const noexcept { return static_cast<unsigned>(shards_.size()); }
    shard& at(unsigned index) noexcept { return *shards_[index]; }

    // Runs shard 0 on the calling thread and each other shard on a thread of its own; returns after stop(). An
    // exception that leaves a handler of shard 0 leaves run() too, after all threads have ended.
    void run();
    // From any thread.
    void stop();

private:
    static const clock& default_clock();

    std::vector<std::unique_ptr<shard>> shards_;
};

}  // namespace foz::net
