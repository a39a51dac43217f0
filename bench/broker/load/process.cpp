#include "process.hpp"

#include <chrono>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace foz::bench {

process_memory memory_of(int pid) {
    process_memory found;
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
        std::istringstream fields(line);
        std::string name;
        std::int64_t kb = 0;
        fields >> name >> kb;
        if (name == "VmRSS:") found.resident_kb = kb;
        if (name == "RssAnon:") found.anonymous_kb = kb;
    }
    return found;
}

double cpu_seconds_of(int pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // of the name
    constexpr int fields_before = 11;
    std::string skipped;
    for (int i = 0; i < fields_before; ++i) stat >> skipped;
    double user = 0;
    double kernel = 0;
    stat >> user >> kernel;
    return (user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double idle_seconds_of_core(unsigned core) {
    std::ifstream stat("/proc/stat");
    const std::string wanted = "cpu" + std::to_string(core);
    for (std::string line; std::getline(stat, line);) {
        std::istringstream fields(line);
        std::string name;
        double user = 0;
        double nice = 0;
        double kernel = 0;
        double idle = 0;
        double waiting = 0;
        fields >> name >> user >> nice >> kernel >> idle >> waiting;
        if (name == wanted) return (idle + waiting) / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
    return 0;
}

double own_cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace foz::bench
