#include "base/token_bucket.hpp"

#include <gtest/gtest.h>

namespace foz {
namespace {

using namespace std::chrono_literals;

constexpr token_rate ten_a_second{.per_second = 10, .burst = 2s};
constexpr steady_time start{1h};

TEST(token_bucket, holds_what_its_burst_saves_up) {
    token_bucket bucket;
    EXPECT_TRUE(bucket.full(start));
    EXPECT_EQ(bucket.wait_for(20, ten_a_second, start), 0s);
    bucket.take(20, ten_a_second, start);
    EXPECT_EQ(bucket.wait_for(0, ten_a_second, start), 0s) << "it is empty, and owes nothing";
    EXPECT_EQ(bucket.wait_for(1, ten_a_second, start), 100ms);
    EXPECT_EQ(bucket.wait_for(1, ten_a_second, start + 100ms), 0s);
    EXPECT_FALSE(bucket.full(start + 1999ms));
    EXPECT_TRUE(bucket.full(start + 2s));
}

TEST(token_bucket, saves_no_more_than_its_burst) {
    token_bucket bucket;
    bucket.take(20, ten_a_second, start);
    const steady_time later = start + 1h;
    bucket.take(21, ten_a_second, later);
    EXPECT_EQ(bucket.wait_for(0, ten_a_second, later), 100ms);
}

TEST(token_bucket, owes_what_was_taken_beyond) {
    token_bucket bucket;
    bucket.take(50, ten_a_second, start);
    EXPECT_EQ(bucket.wait_for(0, ten_a_second, start), 3s);
    EXPECT_EQ(bucket.wait_for(10, ten_a_second, start), 4s);
    EXPECT_EQ(bucket.wait_for(0, ten_a_second, start + 3s), 0s);
}

TEST(token_bucket, who_waits_for_more_than_it_holds_waits_until_it_is_full) {
    token_bucket bucket;
    EXPECT_EQ(bucket.wait_for(1'000, ten_a_second, start), 0s);
    bucket.take(1, ten_a_second, start);
    EXPECT_EQ(bucket.wait_for(1'000, ten_a_second, start), 100ms);
}

TEST(token_bucket, without_a_rate_there_is_no_limit) {
    token_bucket bucket;
    bucket.take(UINT64_MAX, {}, start);
    EXPECT_TRUE(bucket.full(start));
    EXPECT_EQ(bucket.wait_for(UINT64_MAX, {}, start), 0s);
}

TEST(token_bucket, absurd_numbers_do_not_run_over) {
    token_bucket bucket;
    bucket.take(UINT64_MAX, {.per_second = 1'000'000'000, .burst = 1s}, start);
    EXPECT_GT(bucket.wait_for(0, {.per_second = 1'000'000'000, .burst = 1s}, start), 1s);
}

// Over any span no more passes than the rate and one burst, whatever the steps are.
TEST(token_bucket, passes_no_more_than_its_rate_and_one_burst) {
    for (const auto step : {1ms, 7ms, 130ms, 900ms}) {
        token_bucket bucket;
        std::uint64_t passed = 0;
        for (steady_time now = start; now < start + 60s; now += step)
            while (bucket.wait_for(1, ten_a_second, now) == 0s) {
                bucket.take(1, ten_a_second, now);
                ++passed;
            }
        EXPECT_LE(passed, 20u + 600u);
        EXPECT_GE(passed, 600u);
    }
}

}  // namespace
}  // namespace foz
