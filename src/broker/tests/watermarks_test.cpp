#include "broker/watermarks.hpp"

#include <gtest/gtest.h>

namespace foz::broker {
namespace {

TEST(watermarks, say_what_there_is_too_little_of) {
    const watermark_limits limits{.disk_free_bytes = 100, .memory_bytes = 1000};
    EXPECT_EQ(judge({.disk_free_bytes = 100, .resident_bytes = 1000}, limits), "");
    EXPECT_EQ(judge({.disk_free_bytes = 99, .resident_bytes = 1000}, limits), "low on disk");
    EXPECT_EQ(judge({.disk_free_bytes = 100, .resident_bytes = 1001}, limits), "low on memory");
    EXPECT_EQ(judge({.disk_free_bytes = 0, .resident_bytes = 5000}, limits), "low on memory & disk");
}

TEST(watermarks, measure_this_process_and_its_disk) {
    const resources now = measure("/");
    EXPECT_GT(now.resident_bytes, 1'000'000);
    EXPECT_GT(now.disk_free_bytes, 0);
    EXPECT_EQ(judge(measure("/nowhere/at/all"), {.disk_free_bytes = 1}), "") << "what can't be measured is fine";
}

TEST(watermarks, the_machine_sets_the_memory_limit_that_nobody_has_said) {
    EXPECT_GT(settled({}).memory_bytes, 100'000'000);
    EXPECT_EQ(settled({.memory_bytes = 7}).memory_bytes, 7);
}

}  // namespace
}  // namespace foz::broker
