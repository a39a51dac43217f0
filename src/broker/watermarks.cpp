#include "broker/watermarks.hpp"

#include "net/machine_memory.hpp"

#include <limits>
#include <sys/statvfs.h>

namespace foz::broker {
resources measure(const std::string& folder) {
    resources now{.disk_free_bytes = std::numeric_limits<std::uint64_t>::max()};
    struct statvfs disk{};
    if (::statvfs(folder.c_str(), &disk) == 0) now.disk_free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    now.resident_bytes = net::resident_bytes();
    return now;
}

watermark_limits settled(watermark_limits wish) {
    if (wish.memory_bytes == 0) wish.memory_bytes = net::memory_for_us() / 5 * 2;
    return wish;
}

std::string judge(const resources& now, const watermark_limits& limits) {
    const bool disk = now.disk_free_bytes < limits.disk_free_bytes;
    const bool memory = limits.memory_bytes != 0 && now.resident_bytes > limits.memory_bytes;
    if (disk && memory) return "low on memory & disk";
    if (disk) return "low on disk";
    return memory ? "low on memory" : "";
}

}  // namespace foz::broker
