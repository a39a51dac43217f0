// An entry's frames: one piece or two, shared by all who get them.
#include "aggregator/channel/entry.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

shared_octets octets(std::string text) {
    return std::make_shared<const std::string>(std::move(text));
}

}  // namespace

TEST(entry_frames, without_a_tail_a_frame_is_one_piece) {
    entry made;
    made.routes.push_back({envelope::via::broadcast, {}, octets("whole")});
    entry_frames frames(made);
    const auto pieces = frames.of(made.routes[0]);
    ASSERT_EQ(pieces.size(), 1u);
    EXPECT_EQ(pieces[0].octets(), "whole");
    EXPECT_EQ(made.frame_bytes(made.routes[0]), 5u);
}

TEST(entry_frames, the_tail_is_shared_by_all_routes) {
    entry made;
    made.tail = octets("tail");
    made.routes.push_back({envelope::via::multicast, {"g1"}, octets("head 1 ")});
    made.routes.push_back({envelope::via::multicast, {"g2"}, octets("head 2 ")});
    entry_frames frames(made);
    std::string first, second;
    for (const frame_ref& piece : frames.of(made.routes[0])) first += piece.octets();
    EXPECT_EQ(first, "head 1 tail");
    const auto again = frames.of(made.routes[0]);
    EXPECT_EQ(again[0].octets().data(), made.routes[0].head->data()) << "nothing is copied";
    const char* const tail = again[1].octets().data();
    for (const frame_ref& piece : frames.of(made.routes[1])) second += piece.octets();
    EXPECT_EQ(second, "head 2 tail");
    EXPECT_EQ(frames.of(made.routes[1])[1].octets().data(), tail);
    EXPECT_EQ(made.frame_bytes(made.routes[1]), 11u);
}

TEST(entry, its_size_counts_the_tail_once) {
    entry made;
    made.tail = octets(std::string(10'000, 'x'));
    for (int i = 0; i < 100; ++i) made.routes.push_back({envelope::via::multicast, {"g"}, octets("head")});
    EXPECT_GT(made.bytes(), 10'000u);
    EXPECT_LT(made.bytes(), 40'000u);
}

}  // namespace foz::aggregator
