// Who hears a channel, as its service and the other aggregators are told.
#include "aggregator/session/tests/hub_fixture.hpp"
#include "contract/names.hpp"

#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::aggregator {

using namespace test;
using testing::ElementsAre;

TEST(presence, it_is_told_to_the_other_aggregators_too_and_once_more_when_services_believe_nobody_is_here) {
    session_settings config = two_channels();
    config.channels[1].presence = true;
    hub_fixture f(config);
    const member a = f.come("a", {0, 1});
    f.come("b", {0});
    EXPECT_THAT(f.out.present, ElementsAre(std::pair<std::string, bool>("a", true)));
    ASSERT_EQ(f.out.publishes.size(), 1u);
    f.all.tell_presence_again();
    f.work();
    ASSERT_EQ(f.out.publishes.size(), 2u);
    EXPECT_EQ(f.out.publishes[1].message.properties.type, contract::type_opened);
    EXPECT_NE(f.out.publishes[1].message.properties.message_id, f.out.publishes[0].message.properties.message_id);
    f.all.closed(a);
    EXPECT_THAT(f.out.present.back(), (std::pair<std::string, bool>("a", false)));
}

}  // namespace foz::aggregator
