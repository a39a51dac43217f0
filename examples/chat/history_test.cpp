#include "history.hpp"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace chat {

TEST(history, the_last_messages_oldest_first) {
    history all;
    for (const char* const message : {"1", "2", "3"}) all.add("lobby", "id", message);
    all.add("attic", "id", "4");
    EXPECT_EQ(all.last("lobby", 50).messages, "1,2,3");
    EXPECT_EQ(all.last("lobby", 2).messages, "2,3");
    EXPECT_EQ(all.last("attic", 1).messages, "4");
    EXPECT_EQ(all.last("cellar", 50).messages, "");
}

TEST(history, every_message_has_its_id) {
    history all;
    all.add("lobby", "anon-a/1/0", "1");
    all.add("lobby", "anon-b/\"2\"/0", "2");
    EXPECT_EQ(all.last("lobby", 50).ids, R"("anon-a/1/0","anon-b/\"2\"/0")");
    EXPECT_EQ(all.last("lobby", 1).ids, R"("anon-b/\"2\"/0")");
    EXPECT_EQ(all.last("cellar", 50).ids, "");
    all.add("lobby", "\xff", "3");
    EXPECT_EQ(all.last("lobby", 1).ids, "\"\"") << "no UTF-8";
}

TEST(history, a_room_keeps_its_last_messages) {
    history all;
    for (std::size_t i = 0; i <= history::messages_max; ++i) all.add("lobby", "id", std::to_string(i));
    std::string kept;
    for (std::size_t i = 1; i <= history::messages_max; ++i) kept += (i == 1 ? "" : ",") + std::to_string(i);
    EXPECT_EQ(all.last("lobby", history::messages_max + 1).messages, kept) << "the first one has gone";
}

TEST(history, the_room_that_was_silent_for_the_longest_time_goes) {
    history all;
    for (std::size_t i = 0; i < history::rooms_max; ++i) all.add("room" + std::to_string(i), "id", "1");
    all.add("room0", "id", "2");
    EXPECT_EQ(all.last("room1", 1).messages, "1") << "asking is not speaking";
    all.add("new", "id", "3");
    EXPECT_EQ(all.last("room0", 2).messages, "1,2") << "spoken in since";
    EXPECT_EQ(all.last("room1", 1).messages, "");
    EXPECT_EQ(all.last("room2", 1).messages, "1");
    EXPECT_EQ(all.last("new", 1).messages, "3");
    all.add("room1", "id", "4");
    EXPECT_EQ(all.last("room1", 2).messages, "4") << "begins anew";
    EXPECT_EQ(all.last("room2", 1).messages, "");
}

// The follower's thread adds while handlers read: under tsan this finds a missing lock.
TEST(history, is_read_while_it_is_written) {
    history all;
    constexpr std::size_t rounds = 2'000;
    std::thread writer([&] {
        for (std::size_t i = 0; i < rounds; ++i)
            all.add("room" + std::to_string(i % (history::rooms_max + 7)), "id", "1");
    });
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 2; ++reader)
        readers.emplace_back([&] {
            for (std::size_t i = 0; i < rounds; ++i) {
                const std::string read = all.last("room" + std::to_string(i % history::rooms_max), 2).messages;
                EXPECT_TRUE(read.empty() || read == "1" || read == "1,1") << read;
            }
        });
    writer.join();
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(all.last("room" + std::to_string((rounds - 1) % (history::rooms_max + 7)), 1).messages, "1");
}

}  // namespace chat
