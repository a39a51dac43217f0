#include "base/frame.hpp"

#include <gtest/gtest.h>

namespace foz {

TEST(frame, copies_share_the_same_octets) {
    const frame_ref first = frame_ref::copy("hello");
    const frame_ref second = first;
    EXPECT_EQ(second.octets(), "hello");
    EXPECT_EQ(first.octets().data(), second.octets().data());
}

TEST(frame, shared_octets_live_as_long_as_any_frame) {
    auto octets = std::make_shared<const std::string>("hello");
    frame_ref frame = frame_ref::of(octets);
    EXPECT_EQ(octets.use_count(), 2);
    frame_ref other = std::move(frame);
    EXPECT_FALSE(frame);
    EXPECT_EQ(other.octets().data(), octets->data());
    other = {};
    EXPECT_EQ(octets.use_count(), 1);
}

TEST(frame, an_owner_lives_as_long_as_any_frame_of_its_octets) {
    auto owner = std::make_shared<const std::string>("hello");
    frame_ref frame = frame_ref::held_by(owner, std::string_view(*owner).substr(1, 3));
    frame_ref other = frame;
    EXPECT_EQ(owner.use_count(), 2);
    EXPECT_EQ(frame.octets(), "ell");
    frame = {};
    EXPECT_EQ(owner.use_count(), 2);
    other = {};
    EXPECT_EQ(owner.use_count(), 1);
}

TEST(frame, an_empty_reference_has_no_octets) {
    EXPECT_EQ(frame_ref().octets(), "");
    EXPECT_EQ(frame_ref::copy("").size(), 0u);
    EXPECT_EQ(frame_ref::take("abc").octets(), "abc");
}

}  // namespace foz
