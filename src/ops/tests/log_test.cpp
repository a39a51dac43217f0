// A log that never blocks, and notices that do not flood it.
#include "ops/log_queue.hpp"
#include "ops/notices.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace foz::ops {
namespace {

using namespace std::chrono_literals;

struct pipe_ends {
    pipe_ends() { (void)!::pipe(ends.data()); }
    ~pipe_ends() {
        close_reader();
        ::close(ends[1]);
    }
    void close_reader() {
        if (ends[0] >= 0) ::close(std::exchange(ends[0], -1));
    }
    std::string read_until(const std::string& last) {
        std::string all;
        std::array<char, 65'536> buffer;
        while (!all.ends_with(last)) {
            const ssize_t size = ::read(ends[0], buffer.data(), buffer.size());
            if (size <= 0) break;
            all.append(buffer.data(), static_cast<std::size_t>(size));
        }
        return all;
    }
    std::array<int, 2> ends{-1, -1};
};

std::string line(int i) {
    return "line " + std::to_string(i) + " " + std::string(1'000, 'x') + "\n";
}

struct lines {
    notices limited{[this](const std::string& text) { said.push_back(text); }, {.interval = 10s, .kinds_max = 3}};
    std::vector<std::string> said;
    steady_time now{1h};
};

}  // namespace

// The reader sleeps: five thousand lines find a pipe with room for sixty.
TEST(log_queue, drops_and_counts_what_nobody_reads_and_goes_on_afterwards) {
    pipe_ends pipe;
    log_queue queue({.descriptor = pipe.ends[1], .bytes_max = 100'000, .tell_dropped = [](std::uint64_t dropped) {
                         return "dropped " + std::to_string(dropped) + "\n";
                     }});
    for (int i = 0; i < 5'000; ++i) queue.push(line(i));  // a queue that waits would never come out of here
    const std::uint64_t dropped = queue.dropped();
    EXPECT_GT(dropped, 4'000u);
    // Whole lines, in order, and exactly those that were not dropped; what was is told in their place, perhaps in
    // parts.
    std::uint64_t written = 0, told = 0;
    int last = -1;
    while (written + told < 5'000) {
        const std::string one = pipe.read_until("\n");
        ASSERT_TRUE(one.ends_with('\n'));
        std::istringstream all(one);
        for (std::string text; std::getline(all, text);) {
            if (text.starts_with("dropped ")) {
                told += std::stoull(text.substr(8));
                continue;
            }
            ASSERT_TRUE(text.starts_with("line ")) << text;
            const int number = std::stoi(text.substr(5));
            ASSERT_GT(number, last);
            ASSERT_EQ(text + "\n", line(number));
            last = number;
            ++written;
        }
    }
    EXPECT_EQ(told, dropped);
    queue.push("once more\n");
    EXPECT_EQ(pipe.read_until("once more\n"), "once more\n");
    EXPECT_EQ(queue.dropped(), dropped);
}

TEST(log_queue, a_reader_that_has_gone_costs_the_lines_and_nothing_else) {
    std::signal(SIGPIPE, SIG_IGN);
    pipe_ends pipe;
    log_queue queue({.descriptor = pipe.ends[1]});
    pipe.close_reader();
    queue.push("into the void\n");
    for (int i = 0; i < 1'000 && queue.dropped() == 0; ++i) std::this_thread::sleep_for(5ms);
    EXPECT_EQ(queue.dropped(), 1u);
}

TEST(log_queue, its_end_writes_what_waits) {
    pipe_ends pipe;
    {
        log_queue queue({.descriptor = pipe.ends[1]});
        for (int i = 0; i < 20; ++i) queue.push(line(i));
    }
    EXPECT_TRUE(pipe.read_until(line(19)).ends_with(line(19)));
}

TEST(log_queue, its_end_does_not_wait_for_a_reader_that_sleeps) {
    pipe_ends pipe;
    log_queue queue({.descriptor = pipe.ends[1], .farewell = 20ms});
    for (int i = 0; i < 200; ++i) queue.push(line(i));
}

TEST(notices, the_first_of_a_kind_is_said_and_then_a_count) {
    lines r;
    for (int i = 0; i < 5'000; ++i) r.limited.say("dropped: not JSON on chat, message id " + std::to_string(i), r.now);
    EXPECT_EQ(r.said, (std::vector<std::string>{"dropped: not JSON on chat, message id 0"}));
    r.limited.tick(r.now + 9s);
    EXPECT_EQ(r.said.size(), 1u);
    r.limited.tick(r.now + 10s);
    ASSERT_EQ(r.said.size(), 2u);
    EXPECT_EQ(r.said[1], "dropped: not JSON on chat, message id 4999 (and 4998 like this)");
    r.limited.tick(r.now + 30s);
    r.limited.say("dropped: not JSON on chat, message id 5000", r.now + 31s);
    EXPECT_EQ(r.said.size(), 3u);
}

TEST(notices, what_was_kept_back_comes_before_the_next_one_of_its_kind) {
    lines r;
    for (int i = 0; i < 4; ++i) r.limited.say("odd, " + std::to_string(i), r.now);
    r.limited.say("odd, 4", r.now + 11s);
    EXPECT_EQ(r.said, (std::vector<std::string>{"odd, 0", "odd, 3 (and 2 like this)", "odd, 4"}));
    r.limited.say("odd, 5", r.now + 12s);
    r.limited.tick(r.now + 22s);
    EXPECT_EQ(r.said.back(), "odd, 5");
}

TEST(notices, other_kinds_are_not_held_up_unless_there_are_very_many) {
    lines r;
    for (int i = 0; i < 100; ++i) r.limited.say("kind " + std::to_string(i) + ", x", r.now);
    EXPECT_EQ(r.said.size(), 4u);  // three kinds, and the first of all the others
    r.limited.tick(r.now + 10s);
    EXPECT_EQ(r.said.back(), "kind 99, x (and 95 like this)");
    r.limited.tick(r.now + 21s);
    r.limited.say("kind 7, x", r.now + 21s);
    EXPECT_EQ(r.said.back(), "kind 7, x");
}

}  // namespace foz::ops
