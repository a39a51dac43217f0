// What the kernel knows of a process.
#pragma once

#include <cstdint>

namespace foz::bench {

struct process_memory {
    std::int64_t resident_kb = 0;
    std::int64_t anonymous_kb = 0;  // of it, what is not a view of a file
};

// Zeros when there is no such process.
process_memory memory_of(int pid);
// Processor time in user and kernel mode.
double cpu_seconds_of(int pid);
double own_cpu_seconds();
// In which this core had nothing to do, waits for the disk included.
double idle_seconds_of_core(unsigned core);
// CLOCK_MONOTONIC, which all processes share.
double now_seconds();

}  // namespace foz::bench
