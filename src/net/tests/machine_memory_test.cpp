#include "net/machine_memory.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace foz::net {
namespace {

namespace fs = std::filesystem;

// A folder that looks like a machine.
struct machine {
    machine() {
        fs::remove_all(root);
        put("/proc/meminfo", "MemTotal:        1024000 kB\nMemFree:          5 kB\n");
    }
    ~machine() { fs::remove_all(root); }
    void put(const std::string& file, const std::string& text) const {
        fs::create_directories(fs::path(root + file).parent_path());
        std::ofstream(root + file) << text;
    }
    std::string root = fs::temp_directory_path() / ("foz_memory_test." + std::to_string(::getpid()));
};

TEST(machine_memory, is_the_machines_when_no_group_limits_it) {
    const machine m;
    EXPECT_EQ(memory_for_us(m.root), 1'048'576'000u);
    m.put("/proc/self/cgroup", "0::/foz\n");
    m.put("/sys/fs/cgroup/foz/memory.max", "max\n");
    EXPECT_EQ(memory_for_us(m.root), 1'048'576'000u);
}

TEST(machine_memory, is_the_least_that_a_group_or_one_above_it_allows) {
    const machine m;
    m.put("/proc/self/cgroup", "0::/system.slice/foz.service\n");
    m.put("/sys/fs/cgroup/system.slice/foz.service/memory.max", "max\n");
    m.put("/sys/fs/cgroup/system.slice/memory.max", "700000000\n");
    EXPECT_EQ(memory_for_us(m.root), 700'000'000u);
    m.put("/sys/fs/cgroup/system.slice/foz.service/memory.max", "600000000\n");
    EXPECT_EQ(memory_for_us(m.root), 600'000'000u);
    m.put("/sys/fs/cgroup/system.slice/memory.max", "500000000\n");
    EXPECT_EQ(memory_for_us(m.root), 500'000'000u);
}

TEST(machine_memory, inside_a_container_the_groups_own_file_is_at_the_top) {
    const machine m;
    m.put("/proc/self/cgroup", "0::/\n");
    m.put("/sys/fs/cgroup/memory.max", "268435456\n");
    EXPECT_EQ(memory_for_us(m.root), 268'435'456u);
}

TEST(machine_memory, older_groups_count_too) {
    const machine m;
    m.put("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/docker/abc\n");
    m.put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "300000000\n");
    m.put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_EQ(memory_for_us(m.root), 300'000'000u);
}

TEST(machine_memory, what_cant_be_read_is_not_known) {
    EXPECT_EQ(memory_for_us("/nowhere/at/all"), 0u);
}

TEST(machine_memory, this_process_has_some) {
    EXPECT_GT(resident_bytes(), 1'000'000u);
    EXPECT_LT(resident_bytes(), memory_for_us());
}

}  // namespace
}  // namespace foz::net
