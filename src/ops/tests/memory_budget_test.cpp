#include "ops/config/memory_budget.hpp"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::ops {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t mebi = 1024 * 1024;

const auto nothing_said = [](const std::string&) { return false; };

configuration with_channels(std::size_t count) {
    configuration all;
    all.server.channels.clear();
    for (std::size_t i = 0; i < count; ++i) all.server.channels.push_back({.name = "c" + std::to_string(i)});
    return all;
}

TEST(memory_budget, is_never_exceeded_by_its_shares_whatever_the_number_of_channels_and_loops) {
    for (const std::uint64_t budget : {64 * mebi, 128 * mebi, 1'024 * mebi, 64 * 1'024 * mebi})
        for (const std::size_t channels : {1u, 3u, 32u, 200u})
            for (const unsigned loops : {1u, 2u, 16u, 256u}) {
                configuration all = with_channels(channels);
                all.server.memory_bytes_max = budget;
                EXPECT_EQ(divide_memory(all, {.memory = 0, .loops = loops}, nothing_said), "");
                EXPECT_LE(memory_committed(all, loops), budget / 100 * 95)
                    << budget / mebi << " MiB, " << channels << " channels, " << loops << " loops";
                EXPECT_GT(all.server.recent_bytes_max, 0u);
            }
}

TEST(memory_budget, is_a_part_of_what_there_is) {
    configuration all;
    divide_memory(all, {.memory = 1'000 * mebi, .loops = 2}, nothing_said);
    EXPECT_EQ(all.server.memory_bytes_max, 600 * mebi);
    configuration unknown;
    divide_memory(unknown, {.memory = 0, .loops = 2}, nothing_said);
    EXPECT_EQ(unknown.server.memory_bytes_max, 1'024 * mebi);
}

TEST(memory_budget, on_a_large_machine_the_limits_are_no_larger_than_they_help) {
    configuration all;
    divide_memory(all, {.memory = 1'024 * 1'024 * mebi, .loops = 8}, nothing_said);
    EXPECT_EQ(all.server.publishing.pending_octets_limit, 64 * mebi);
    EXPECT_EQ(all.server.shard_queue_bytes_max, 256 * mebi);
    EXPECT_EQ(all.server.recent_bytes_max, 16 * mebi);
}

TEST(memory_budget, what_was_said_stays_and_too_much_of_it_is_warned_of) {
    configuration all;
    all.server.memory_bytes_max = 128 * mebi;
    all.server.shard_queue_bytes_max = 512 * mebi;
    const std::set<std::string> keys{"limits.memory_bytes", "limits.loop_queue_bytes"};
    const std::string warning =
        divide_memory(all, {.memory = 0, .loops = 2}, [&](const std::string& path) { return keys.contains(path); });
    EXPECT_EQ(all.server.shard_queue_bytes_max, 512 * mebi);
    EXPECT_LT(all.server.publishing.pending_octets_limit, 10 * mebi);
    EXPECT_THAT(warning, HasSubstr("limits.memory_bytes is 128 MiB"));
}

TEST(memory_budget, the_broker_inside_is_part_of_a_budget_that_was_said) {
    configuration all;
    all.server.memory_bytes_max = 300 * mebi;
    divide_memory(all, {}, [](const std::string& path) { return path == "limits.memory_bytes"; });
    EXPECT_EQ(all.embedded.memory_bytes, 200 * mebi);
    configuration other;
    divide_memory(other, {.memory = 1'000 * mebi}, nothing_said);
    EXPECT_EQ(other.embedded.memory_bytes, 0u) << "it finds its own";
}

}  // namespace
}  // namespace foz::ops
