// How fast a message has to come.
#include "ws/conn/tests/rig.hpp"

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using namespace test;
using namespace std::chrono_literals;

}  // namespace

TEST(minimum_rate, who_dribbles_within_a_message_counts_as_silent_and_who_is_slow_does_not) {
    const std::string large = frame(opcode::text, std::string(10'000, 'x'));
    for (const std::size_t rate : {1u, 120u}) {
        rig r;
        r.options.rate_min = 100;
        r.pass(1s);
        r.wire->receive(upgrade_octets() + large.substr(0, rate));
        std::size_t sent = rate;
        for (int second = 1; second < 10; ++second, sent += rate) {
            r.pass(1s);
            r.wire->receive(large.substr(sent, rate));
            EXPECT_FALSE(r.socket->silent_for(10s)) << "it has ten seconds to show how fast it is";
        }
        r.pass(1s);
        EXPECT_EQ(r.socket->silent_for(10s), rate == 1);
        // With the end of the message it begins anew.
        r.wire->receive(large.substr(sent));
        EXPECT_FALSE(r.socket->silent_for(10s));
        r.wire->receive(large.substr(0, 10));
        r.pass(9s);
        EXPECT_FALSE(r.socket->silent_for(10s));
        r.pass(2s);
        EXPECT_TRUE(r.socket->silent_for(10s));
        r.socket->abort();
        EXPECT_EQ(r.dribbled, 1);
    }
}

// What nobody reads can't come.
TEST(minimum_rate, nobody_dribbles_who_is_not_read_from) {
    rig r;
    r.options.rate_min = 100;
    r.pass(1s);
    r.wire->receive(upgrade_octets() + frame(opcode::text, std::string(1'000, 'x')).substr(0, 10));
    r.socket->pause_reading();
    r.pass(60s);
    EXPECT_FALSE(r.socket->silent_for(10s));
    r.socket->resume_reading();
    r.pass(9s);
    EXPECT_FALSE(r.socket->silent_for(10s));
    r.pass(2s);
    EXPECT_TRUE(r.socket->silent_for(10s));
}

TEST(minimum_rate, a_request_has_its_time_to_arrive_however_often_an_octet_comes) {
    rig r;
    for (int second = 0; second < 9; ++second) {
        r.wire->receive(std::string(1, upgrade_octets()[static_cast<std::size_t>(second)]));
        r.pass(1s);
    }
    EXPECT_EQ(r.gone, 0);
    r.pass(2s);
    EXPECT_EQ(r.gone, 1);
    EXPECT_EQ(r.dribbled, 1);
}

}  // namespace foz::ws
