// What may be joined, and what is joined.
#include "aggregator/channel/entry_run.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

constexpr std::size_t octets_max = 64 * 1024;

entry said_to_all(std::string frame) {
    entry made;
    made.topic = "news";
    made.routes.push_back({envelope::via::broadcast, {}, std::make_shared<const std::string>(std::move(frame))});
    return made;
}

entry_ref shared(entry of) {
    return std::make_shared<const entry>(std::move(of));
}

}  // namespace

TEST(entry_run, frames_are_joined_in_order) {
    entry_run run(octets_max);
    for (const char* const frame : {"one ", "two ", "three"}) {
        const entry_ref next = shared(said_to_all(frame));
        ASSERT_TRUE(run.takes(*next));
        run.add(next);
    }
    EXPECT_EQ(run.size(), 3u);
    EXPECT_EQ(run.joined().octets(), "one two three");
    run.clear();
    EXPECT_TRUE(run.empty());
}

TEST(entry_run, one_alone_is_not_copied) {
    entry_run run(octets_max);
    const entry_ref only = shared(said_to_all("alone"));
    run.add(only);
    EXPECT_EQ(run.joined().octets().data(), only->routes.front().head->data());
}

TEST(entry_run, takes_what_reaches_the_same_members_and_nothing_else) {
    const std::vector<std::function<void(entry&)>> differences = {
        [](entry& e) { e.channel = 1; },
        [](entry& e) { e.topic = "other"; },
        [](entry& e) { e.routes.front().how = envelope::via::multicast; },
        [](entry& e) { e.routes.front().receivers = {"group"}; },
        [](entry& e) { e.routes.push_back(e.routes.front()); },
        [](entry& e) { e.routes.clear(); },
        [](entry& e) { e.tail = e.routes.front().head; },
        [](entry& e) { e.answer.emplace(); },
        [](entry& e) { e.question.emplace(); },
        [](entry& e) { e.too_large = true; },
    };
    for (std::size_t i = 0; i < differences.size(); ++i) {
        entry_run run(octets_max);
        run.add(shared(said_to_all("first")));
        entry other = said_to_all("other");
        EXPECT_TRUE(run.takes(other));
        differences[i](other);
        EXPECT_FALSE(run.takes(other)) << i;
    }
}

TEST(entry_run, is_bounded) {
    entry_run run(octets_max);
    EXPECT_FALSE(run.takes(said_to_all(std::string(entry_run::frame_octets_max + 1, 'x'))));
    const entry_ref largest = shared(said_to_all(std::string(entry_run::frame_octets_max, 'x')));
    std::size_t octets = 0;
    for (; run.takes(*largest); octets += entry_run::frame_octets_max) run.add(largest);
    EXPECT_EQ(octets, octets_max);
    EXPECT_EQ(run.joined().size(), octets);
}

}  // namespace foz::aggregator
