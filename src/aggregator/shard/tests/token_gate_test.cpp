// Goal: a client that a connect service describes has rights that begin when it came, and end when they should.
#include "aggregator/shard/token_gate.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::sys_seconds now{1'800'000'000s};

std::shared_ptr<const client_rights> rights_of(const identity::verified_token& claims) {
    const settings all;
    const auto known = token_gate(all).describe(claims, now);
    return known ? known->rights : nullptr;
}

TEST(token_gate, of_a_client_that_may_stay_for_ever_is_no_time_that_is_over) {
    constexpr std::chrono::sys_seconds year_9999{253'402'300'799s};
    const auto rights = rights_of({.subject = "a", .client = "a", .ends = year_9999 + 600s});
    ASSERT_TRUE(rights && rights->ends);
    EXPECT_GT(*rights->ends, now + std::chrono::years(200));
    EXPECT_EQ(rights_of({.subject = "a", .client = "a", .ends = now + 60s})->ends, now + 60s);
    EXPECT_EQ(rights_of({.subject = "a", .client = "a"})->ends, std::nullopt);
}

TEST(token_gate, grants_nothing_later_than_now) {
    EXPECT_EQ(rights_of({.subject = "a", .client = "a"})->issued, now);
    EXPECT_EQ(rights_of({.subject = "a", .client = "a", .issued = now - 60s})->issued, now - 60s);
    const auto ahead = rights_of({.subject = "a", .client = "a", .issued = now + 29s});
    EXPECT_EQ(ahead->issued, now);
    EXPECT_TRUE(ahead->granted_before(now + 1s)) << "a revocation of everybody who came before meets it";
}

}  // namespace
}  // namespace foz::aggregator
