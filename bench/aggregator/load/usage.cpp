#include "usage.hpp"

#include "../../broker/load/process.hpp"

#include <filesystem>
#include <fstream>
#include <string>

namespace foz::load {

double cpu_seconds_of(int pid) {
    double nanoseconds = 0;
    std::error_code ended;
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ended)) {
        double on_core = 0;
        std::ifstream(task.path() / "schedstat") >> on_core;
        nanoseconds += on_core;
    }
    return nanoseconds / 1e9;
}

usage::usage(measured_process server)
    : server_(server),
      begin_(bench::now_seconds()),
      server_cpu_(cpu_seconds_of(server.pid)),
      load_cpu_(bench::own_cpu_seconds()),
      core_idle_(bench::idle_seconds_of_core(server.core)) {}

void usage::add_to(json_line& line) const {
    line.add("seconds", bench::now_seconds() - begin_)
        .add("server_cpu", cpu_seconds_of(server_.pid) - server_cpu_)
        .add("load_cpu", bench::own_cpu_seconds() - load_cpu_)
        .add("core_idle", bench::idle_seconds_of_core(server_.core) - core_idle_);
}

measured_process process_in(const arguments& all) {
    return {.pid = static_cast<int>(all.count("pid", 0)), .core = static_cast<unsigned>(all.count("core", 0))};
}

}  // namespace foz::load
