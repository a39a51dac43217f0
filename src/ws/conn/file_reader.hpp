// Threads that read files, so that no event loop waits for a disk.
#pragma once

#include "net/slots.hpp"
#include "ws/conn/body_source.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace foz::ws {

// From any thread. Outlived by the shards that its files are read for; outlives the files. Each file has at most one
// job at a time, so that the queue is bounded by the number of open files.
class file_reader {
public:
    explicit file_reader(unsigned threads);
    // Waits for the jobs that run; the others are dropped without being told.
    ~file_reader();
    file_reader(const file_reader&) = delete;
    file_reader& operator=(const file_reader&) = delete;

    void run(std::move_only_function<void()> job);

private:
    void work();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::move_only_function<void()>> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

// The first `size` octets of an open regular file. Closes it in the end, and gives its slot back.
std::shared_ptr<body_source> make_file_source(file_reader& reader, int descriptor, std::uint64_t size, net::slot taken);

}  // namespace foz::ws
