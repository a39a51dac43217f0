#include "cli/top/view.hpp"

#include "cli/top/text.hpp"

#include <regex>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::cli::top {
namespace {

using testing::HasSubstr;
using testing::Not;

picture some(std::size_t queues) {
    picture out{.version = "1.2.3", .uptime_s = 7'500, .memory_bytes = 42.1e6, .cpu_seconds = 750};
    out.aggregator = aggregator_part{.sessions = 1'204, .connections = 1'310, .frames_rate = 12'345};
    out.broker = broker_part{.connections = 12, .queues = static_cast<double>(queues), .publish_rate = 777};
    for (std::size_t i = 0; i < queues; ++i)
        out.queues.push_back({.vhost = "/",
                              .name = "queue-" + std::to_string(i),
                              .type = "classic",
                              .ready = static_cast<double>(i),
                              .consumers = 1,
                              .publish_rate = static_cast<double>(queues - i)});
    return out;
}

std::string joined(const drawn& shown) {
    std::string all;
    for (const std::string& one : shown.lines) all += one + "\n";
    return all;
}

std::string snapshot(const picture& now, std::size_t width, const surroundings& around = {}) {
    choices chosen;
    return joined(draw(now, around, chosen, {.width = width}));
}

// Whatever the terminal's size: exactly so many lines, none wider than it.
TEST(top_view, keeps_to_every_size) {
    picture now = some(40);
    now.queues[3].name = std::string(255, 'x');
    now.queues[4].name = "名前" + std::string(200, '\x1b');
    now.queues[5].vhost = "other";
    now.not_ready = "the broker can't be reached, which is told in a sentence that is longer than some terminals";
    for (std::size_t width = 1; width <= 200; width += 3)
        for (std::size_t height = 1; height <= 60; height += 7)
            for (const bool alone : {false, true}) {
                picture shown = now;
                if (alone) shown.broker.reset(), shown.queues.clear();
                choices chosen{.first_row = 1'000};
                const drawn out = draw(shown, {.lost = "gone"}, chosen, {.width = width, .height = height});
                ASSERT_EQ(out.lines.size(), height);
                for (const std::string& line : out.lines) {
                    ASSERT_LE(columns(line), width) << line;
                    for (const char c : line) ASSERT_GE(static_cast<unsigned char>(c), 0x20) << line;
                }
            }
}

// Colours change how it looks, not what it says.
TEST(top_view, colours_say_nothing_of_their_own) {
    picture now = some(20);
    now.not_ready = "starting";
    choices chosen;
    const std::string plain = joined(draw(now, {}, chosen, {.width = 80, .height = 24}));
    const std::string coloured = joined(draw(now, {}, chosen, {.width = 80, .height = 24, .colours = true}));
    EXPECT_NE(plain, coloured);
    const std::string stripped = std::regex_replace(coloured, std::regex("\x1b\\[[0-9;]*m"), "");
    EXPECT_EQ(plain, std::regex_replace(stripped, std::regex(" +\n"), "\n"));
}

// 80 columns have the name and what matters; 160 have all.
TEST(top_view, leaves_out_what_says_least) {
    picture now = some(3);
    now.queues[0].name = std::string(24, 'n');
    const std::string narrow = snapshot(now, 80);
    for (const char* title : {"NAME", "READY", "UNACK", "CONS", "PUB/s", "DLV/s", "ACK/s"})
        EXPECT_THAT(narrow, HasSubstr(title));
    EXPECT_THAT(narrow, HasSubstr(std::string(24, 'n')));
    EXPECT_THAT(narrow, Not(HasSubstr("REDLV")));
    const std::string wide = snapshot(now, 160);
    for (const char* title : {"TYPE", "REDLV", "DEAD", "BYTES"}) EXPECT_THAT(wide, HasSubstr(title));
    EXPECT_THAT(wide, Not(HasSubstr("VHOST")));
    now.queues[1].vhost = "orders";
    EXPECT_THAT(snapshot(now, 160), HasSubstr("VHOST"));
    EXPECT_THAT(snapshot(now, 20), HasSubstr("NAME"));
}

// The head has the numbers for people.
TEST(top_view, head_says_how_it_is) {
    const std::string text = snapshot(some(3), 100);
    for (const char* part : {"foz 1.2.3", "up 2h 05m", "ready", "memory 42.1 MB", "mean cpu 10%", "1,204 sessions",
                             "12.3k frames in/s", "777 publish/s"})
        EXPECT_THAT(text, HasSubstr(part));
    EXPECT_THAT(snapshot(some(3), 100, {.cpu_share = 0.5}), HasSubstr(" cpu 50%"));
}

// What is wrong is told with its reason; a lost connection with the age of what is shown.
TEST(top_view, tells_troubles) {
    picture now = some(1);
    now.not_ready = "no broker";
    now.broker->blocked = "the disk is full";
    now.aggregator->broker_blocked = true;
    const std::string text = snapshot(now, 80);
    for (const char* part : {"Not ready: no broker", "takes no messages: the disk is full", "no messages of clients"})
        EXPECT_THAT(text, HasSubstr(part));
    const std::string lost = snapshot(now, 80, {.lost = "127.0.0.1:9090: Connection refused", .age_s = 12});
    for (const char* part : {"127.0.0.1:9090: Connection refused; trying again", "12s old", "queue-0"})
        EXPECT_THAT(lost, HasSubstr(part));
    EXPECT_THAT(lost, Not(HasSubstr("Not ready")));
}

// Either part alone, and a broker without a queue.
TEST(top_view, copes_with_missing_parts) {
    picture now = some(0);
    EXPECT_THAT(snapshot(now, 80), HasSubstr("There is no queue yet."));
    now.broker.reset();
    EXPECT_THAT(snapshot(now, 80), HasSubstr("RabbitMQ's queues are to be seen in its"));
    EXPECT_THAT(snapshot(now, 80), HasSubstr("sessions"));
    now = some(2);
    now.aggregator.reset();
    EXPECT_THAT(snapshot(now, 80), Not(HasSubstr("sessions")));
    EXPECT_THAT(snapshot(now, 80), HasSubstr("queue-1"));
}

// Scrolling moves by rows and pages and stays within the list.
TEST(top_view, scrolls_through_a_thousand_queues) {
    const picture now = some(1'000);
    choices chosen{.sort = sort_key::name};
    const frame within{.width = 80, .height = 24};
    drawn shown = draw(now, {}, chosen, within);
    ASSERT_GT(shown.rows, 10u);
    EXPECT_THAT(joined(shown), HasSubstr("1–" + std::to_string(shown.rows) + " of 1000"));
    apply(key::page_down, chosen, shown.rows);
    draw(now, {}, chosen, within);
    EXPECT_EQ(chosen.first_row, shown.rows);
    apply(key::up, chosen, shown.rows);
    EXPECT_EQ(chosen.first_row, shown.rows - 1);
    apply(key::end, chosen, shown.rows);
    shown = draw(now, {}, chosen, within);
    EXPECT_EQ(chosen.first_row, 1'000 - shown.rows);
    EXPECT_THAT(joined(shown), HasSubstr("of 1000"));
    apply(key::down, chosen, shown.rows);
    draw(now, {}, chosen, within);
    EXPECT_EQ(chosen.first_row, 1'000 - shown.rows);
    apply(key::home, chosen, shown.rows);
    apply(key::page_up, chosen, shown.rows);
    EXPECT_EQ(chosen.first_row, 0u);
}

// The largest numbers come first, names in their order, and r turns both around.
TEST(top_view, sorts) {
    const picture now = some(5);
    const auto first = [&](choices chosen) {
        const std::string text = joined(draw(now, {}, chosen, {.width = 80}));
        return text.substr(text.find("queue-"), 7);
    };
    EXPECT_EQ(first({.sort = sort_key::ready}), "queue-4");
    EXPECT_EQ(first({.sort = sort_key::ready, .reversed = true}), "queue-0");
    EXPECT_EQ(first({.sort = sort_key::publish}), "queue-0");
    EXPECT_EQ(first({.sort = sort_key::name}), "queue-0");
    EXPECT_EQ(first({.sort = sort_key::name, .reversed = true}), "queue-4");
    EXPECT_EQ(first({.sort = sort_key::bytes}), "queue-0");  // all the same: by name
    choices chosen{.sort = sort_key::bytes};
    apply(key::sort_right, chosen, 1);
    EXPECT_EQ(chosen.sort, sort_key::name);
    apply(key::sort_left, chosen, 1);
    EXPECT_EQ(chosen.sort, sort_key::bytes);
    for (const char* one :
         {"name", "ready", "unacked", "consumers", "publish", "deliver", "ack", "redeliver", "dead", "bytes"})
        EXPECT_EQ(word(*parse_sort_key(one)), one);
    EXPECT_FALSE(parse_sort_key("colour"));
}

// Escape sequences are read as keys also when they come in pieces; unknown ones are no keys.
TEST(top_view, reads_keys) {
    std::string pending;
    EXPECT_EQ(read_keys("\x1b[A\x1bOBq", pending), (std::vector{key::up, key::down, key::quit}));
    EXPECT_TRUE(read_keys("\x1b[", pending).empty());
    EXPECT_EQ(read_keys("6~r", pending), (std::vector{key::page_down, key::reverse}));
    EXPECT_TRUE(read_keys("\x1b[1;5Cxyz\x1b", pending).empty());
    EXPECT_EQ(read_keys("q", pending), std::vector{key::quit});
    EXPECT_TRUE(read_keys("\x1b[" + std::string(100, '1'), pending).empty());
    EXPECT_LT(pending.size(), 40u);
}

}  // namespace
}  // namespace foz::cli::top
