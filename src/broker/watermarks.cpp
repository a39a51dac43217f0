#include "broker/watermarks.hpp"

#include <fstream>
#include <limits>
#include <sys/statvfs.h>
#include <unistd.h>

namespace foz::broker {
namespace {

std::uint64_t page_bytes() {
    return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

resources measure(const std::string& folder) {
    resources now{.disk_free_bytes = std::numeric_limits<std::uint64_t>::max()};
    struct statvfs disk{};
    if (::statvfs(folder.c_str(), &disk) == 0) now.disk_free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    std::ifstream in("/proc/self/statm");
    std::uint64_t total = 0, resident = 0;
    if (in >> total >> resident) now.resident_bytes = resident * page_bytes();
    return now;
}

watermark_limits settled(watermark_limits wish) {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    if (wish.memory_bytes == 0 && pages > 0)
        wish.memory_bytes = static_cast<std::uint64_t>(pages) * page_bytes() / 5 * 2;
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
