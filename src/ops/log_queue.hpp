// Lines on their way to a descriptor that may not take them: a full pipe, a terminal that was stopped.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace foz::ops {

struct log_queue_options {
    int descriptor = 2;
    // Lines that wait: what comes beyond is dropped and counted, and told when there is room again.
    std::size_t bytes_max = 1024 * 1024;
    // How long the last lines may take when the process ends.
    std::chrono::milliseconds farewell = std::chrono::milliseconds(1'000);
    // The line that tells how many were dropped; may be empty.
    std::function<std::string(std::uint64_t dropped)> tell_dropped;
    // Called about once a second by the thread that writes, while it isn't stopped by the descriptor; may be empty.
    std::function<void()> every_second;
};

// push() never waits: a thread of the queue's own writes. A descriptor that is not read from stops that thread and
// nobody else; one that is broken (EPIPE, a full disk) costs the lines. Any thread may push.
class log_queue {
public:
    explicit log_queue(log_queue_options options);
    // Writes what waits, as far as the descriptor takes it in time.
    ~log_queue();
    log_queue(const log_queue&) = delete;
    log_queue& operator=(const log_queue&) = delete;

    void push(std::string line);
    // Lines that nobody will see.
    std::uint64_t dropped() const noexcept;

private:
    struct shared;
    static void run(const std::shared_ptr<shared>& all);

    const std::shared_ptr<shared> shared_;
    std::chrono::milliseconds farewell_;
};

}  // namespace foz::ops
