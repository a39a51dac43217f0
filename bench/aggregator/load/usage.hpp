// What the kernel knows of the server, read before and after a measurement.
#pragma once

#include "arguments.hpp"

namespace foz::load {

// Processor time of a process and all its threads, to the microsecond.
double cpu_seconds_of(int pid);

struct measured_process {
    int pid = 0;
    unsigned core = 0;  // that it is pinned to
};

// From its making to add_to(): seconds, server_cpu, load_cpu, core_idle.
class usage {
public:
    explicit usage(measured_process server);
    void add_to(json_line& line) const;

private:
    measured_process server_;
    double begin_;
    double server_cpu_;
    double load_cpu_;
    double core_idle_;
};

// `pid` and `core`.
measured_process process_in(const arguments& all);

}  // namespace foz::load
