// Consumers of which one at a time is active (x-single-active-consumer): who takes over goes on where it stood.
#include "broker/front/tests/rig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using testing::ElementsAre;

amqp::table arguments(bool quorum) {
    if (quorum) return {{"x-queue-type", "quorum"}, {"x-single-active-consumer", true}};
    return {{"x-single-active-consumer", true}};
}

}  // namespace

// A service that dies with work in hand: whoever takes over goes on with that work, not with what comes behind it.
TEST(single_active, the_next_single_active_consumer_begins_with_what_comes_back) {
    for (const bool quorum : {true, false}) {
        front_rig r;
        client setup(r);
        setup.open();
        setup.declare("q", arguments(quorum), quorum);
        client first(r);
        first.open();
        first.prefetch(2);
        first.consume("q");
        client second(r);
        second.open();
        second.prefetch(10);
        second.consume("q");
        for (int i = 0; i < 5; ++i) setup.publish(1, "q", std::to_string(i));
        EXPECT_THAT(bodies(first.read()), ElementsAre("0", "1"));
        first.send(0, amqp::connection_close{});
        EXPECT_THAT(bodies(second.read()), ElementsAre("0", "1", "2", "3", "4"));
    }
}

// It took over from another one on the same connection, which has work in hand still, and both die together.
TEST(single_active, single_active_consumers_that_die_together_leave_their_work_in_order) {
    for (const bool quorum : {true, false}) {
        front_rig r;
        client setup(r);
        setup.open();
        setup.declare("q", arguments(quorum), quorum);
        client both(r);
        both.open(2);
        both.prefetch(3, 2);
        both.consume("q", false, 2, "earlier");
        both.prefetch(3, 1);
        both.consume("q", false, 1, "later");
        client third(r);
        third.open();
        third.consume("q");
        for (int i = 0; i < 8; ++i) setup.publish(1, "q", std::to_string(i));
        EXPECT_THAT(bodies(both.read()), ElementsAre("0", "1", "2"));
        amqp::basic_cancel leaves;
        leaves.consumer_tag = "earlier";
        leaves.no_wait = true;
        both.send(2, leaves);
        EXPECT_THAT(bodies(both.read()), ElementsAre("3", "4", "5"));
        both.send(0, amqp::connection_close{});
        EXPECT_THAT(bodies(third.read()), ElementsAre("0", "1", "2", "3", "4", "5", "6", "7"));
    }
}

}  // namespace foz::broker
