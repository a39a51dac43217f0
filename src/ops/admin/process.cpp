#include "ops/admin/process.hpp"

#include "ops/log.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

namespace foz::ops {
namespace {

double open_descriptors() {
    std::error_code ignored;
    const std::filesystem::directory_iterator all("/proc/self/fd", ignored);
    return double(std::distance(begin(all), end(all)));
}

std::chrono::system_clock::time_point started() {
    static const auto start = std::chrono::system_clock::now();
    return start;
}

}  // namespace

double processor_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double resident_bytes() {
    std::ifstream in("/proc/self/statm");
    double total = 0, resident = 0;
    in >> total >> resident;
    return resident * double(::sysconf(_SC_PAGESIZE));
}

std::chrono::seconds uptime() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - started());
}

void expose_process(exposition& to) {
    const auto one = [&](const char* name, const char* type, const char* help, double number) {
        to.family(name, type, help);
        to.sample({}, number);
    };
    one("process_cpu_seconds_total", "counter", "Processor time, user and system", processor_seconds());
    one("process_resident_memory_bytes", "gauge", "Resident memory", resident_bytes());
    one("process_open_fds", "gauge", "Open descriptors", open_descriptors());
    one("foz_log_lines_dropped_total", "counter", "Lines of the log that stderr did not take in time",
        double(log_lines_dropped()));
    one("foz_log_notices_kept_back_total", "counter", "Notices of one kind that were told as a count alone",
        double(notices_kept_back()));
    one("process_start_time_seconds", "gauge", "When the process was first asked, in seconds since 1970",
        std::chrono::duration<double>(started().time_since_epoch()).count());
}

}  // namespace foz::ops
