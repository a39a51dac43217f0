// Goal: an operator closes a client's sockets or one of them, and nobody else's.
#include "aggregator/session/tests/hub_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace test;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr auto restart = ws::close_code::service_restart;
constexpr auto disconnected = static_cast<ws::close_code>(4010);

}  // namespace

TEST(disconnect, closes_all_sockets_of_a_client_as_when_an_aggregator_stops) {
    hub_fixture f;
    const member one = f.come("a"), two = f.come("a");
    f.come("b");
    EXPECT_EQ(f.all.disconnect({.whom = client_id("a")}), 2u);
    EXPECT_THAT(f.out.closed, UnorderedElementsAre(Pair(one, restart), Pair(two, restart)));
    EXPECT_EQ(f.count(one, "primus::server::close"), 0u) << "it comes back";
}

TEST(disconnect, tells_who_is_to_stay_away) {
    hub_fixture f;
    const member one = f.come("a");
    f.take(one);
    EXPECT_EQ(f.all.disconnect({.whom = client_id("a"), .stay_away = true}), 1u);
    EXPECT_THAT(f.take(one), testing::ElementsAre("\"primus::server::close\""));
    EXPECT_THAT(f.out.closed, UnorderedElementsAre(Pair(one, disconnected)));
}

TEST(disconnect, closes_one_session_and_each_socket_once) {
    hub_fixture f;
    f.come("a");  // s1
    const member second = f.come("a");
    EXPECT_EQ(f.all.disconnect({.whom = session_id("s2")}), 1u);
    EXPECT_THAT(f.out.closed, UnorderedElementsAre(Pair(second, restart)));
    EXPECT_EQ(f.all.disconnect({.whom = session_id("s2")}), 0u) << "it is closing";
    EXPECT_EQ(f.all.disconnect({.whom = client_id("a"), .stay_away = true}), 1u);
    EXPECT_EQ(f.out.closed.size(), 2u);
}

TEST(disconnect, of_nobody_closes_nothing) {
    hub_fixture f;
    f.come("a");
    EXPECT_EQ(f.all.disconnect({.whom = client_id("s1")}), 0u) << "a session's id is no client's";
    EXPECT_EQ(f.all.disconnect({.whom = session_id("a")}), 0u);
    EXPECT_EQ(f.all.disconnect({.whom = client_id("")}), 0u);
    EXPECT_THAT(f.out.closed, IsEmpty());
}

}  // namespace foz::aggregator
