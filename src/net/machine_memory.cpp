#include "net/machine_memory.hpp"

#include <algorithm>
#include <fstream>
#include <string_view>
#include <unistd.h>

namespace foz::net {
namespace {

std::uint64_t page_bytes() {
    return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Of /proc/meminfo: "MemTotal:  24684012 kB".
std::uint64_t memory_of_machine(const std::string& root) {
    std::ifstream in(root + "/proc/meminfo");
    std::string name;
    std::uint64_t kilobytes = 0;
    while (in >> name >> kilobytes) {
        if (name == "MemTotal:") return kilobytes * 1024;
        in.ignore(1'000, '\n');
    }
    return 0;
}

// The limit in a file; UINT64_MAX: it says "max", or isn't there.
std::uint64_t limit_in(const std::string& file) {
    std::ifstream in(file);
    std::uint64_t limit = 0;
    return in >> limit ? limit : UINT64_MAX;
}

// Of the group and all its ancestors. Inside a container the file system begins at the container's own group, whatever
// the path says.
std::uint64_t limit_above(const std::string& mount, std::string group, const char* file) {
    std::uint64_t least = limit_in(mount + "/" + file);
    while (group.size() > 1) {
        least = std::min(least, limit_in(mount + group + "/" + file));
        group.resize(group.rfind('/'));
    }
    return least;
}

// "4:cpu,memory:/a/b": a v1 hierarchy; "0::/a/b": the v2 one.
bool is_of_memory(std::string_view controllers) {
    while (!controllers.empty()) {
        const std::string_view one = controllers.substr(0, controllers.find(','));
        if (one == "memory") return true;
        controllers.remove_prefix(std::min(one.size() + 1, controllers.size()));
    }
    return false;
}

}  // namespace

std::uint64_t memory_for_us(const std::string& root) {
    const std::uint64_t machine = memory_of_machine(root);
    std::uint64_t least = machine == 0 ? UINT64_MAX : machine;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
        const std::string group = line.substr(second + 1);
        if (controllers.empty()) {
            least = std::min({least, limit_above(root + "/sys/fs/cgroup", group, "memory.max"),
                              limit_above(root + "/sys/fs/cgroup/unified", group, "memory.max")});
        } else if (is_of_memory(controllers)) {
            least = std::min(least, limit_above(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
        }
    }
    return least == UINT64_MAX ? 0 : least;
}

std::uint64_t resident_bytes() {
    std::ifstream in("/proc/self/statm");
    std::uint64_t total = 0, resident = 0;
    return in >> total >> resident ? resident * page_bytes() : 0;
}

}  // namespace foz::net
