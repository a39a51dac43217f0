// Whether there is room for more: free disk and used memory against their limits.
#pragma once

#include <cstdint>
#include <string>

namespace foz::broker {

struct watermark_limits {
    std::uint64_t disk_free_bytes = 50'000'000;  // at least so much of the folder's disk is to be free
    std::uint64_t memory_bytes = 0;              // at most so much is resident; 0: two fifths of what there is for us
};

struct resources {
    std::uint64_t disk_free_bytes = 0;
    std::uint64_t resident_bytes = 0;
};

// What can't be measured counts as fine.
resources measure(const std::string& folder);
// With the memory that there is for this process (net::memory_for_us()) instead of 0.
watermark_limits settled(watermark_limits wish);
// Why publishers have to wait, in RabbitMQ's words; empty: they don't.
std::string judge(const resources& now, const watermark_limits& limits);

}  // namespace foz::broker
