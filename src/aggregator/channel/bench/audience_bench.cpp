// What an audience costs. Nothing here is a test: it is built on request (ninja foz_aggregator_channel_bench) and
// prints what it measured.
//
//   foz_aggregator_channel_bench topics|patterns|groups N   entries to one of N, 200 members share them
//   foz_aggregator_channel_bench everybody N                broadcasts to N members
//   foz_aggregator_channel_bench leave N                    N members of one group and topic leave at once
//   foz_aggregator_channel_bench memory N                   octets for each member, for one, two and three channels
//   foz_aggregator_channel_bench frames                     one piece for each frame beside two (frame_bench.cpp)
//
// Instructions: valgrind --tool=callgrind --toggle-collect='*measured*' … ; a last argument says how many entries.
#include "aggregator/channel/audience.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <malloc.h>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

int frame_bench();

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point begin) {
    return std::chrono::duration<double>(clock::now() - begin).count();
}

std::string client_name(std::size_t i) {
    std::string digits = std::to_string(i);
    return "anon-" + std::string(26 - digits.size(), 'x') + digits;
}

std::string session_name(std::size_t i) {
    std::string digits = std::to_string(i);
    return std::string(22 - digits.size(), 's') + digits;
}

struct crowd {
    member come() {
        const member who{next, 1};
        names.add(who, client_id(client_name(next)), session_id(session_name(next)));
        ++next;
        return who;
    }
    directory names{12345};
    audience all{names};
    std::uint32_t next = 0;
};

std::string key(std::string_view kind, std::size_t i) {
    const std::string number = std::to_string(i);
    if (kind == "patterns") return i % 2 == 0 ? "room." + number + ".#" : "*." + number + ".said";
    if (kind == "groups") return "team-" + number;
    return "room." + number + ".said";
}

// Apart, so that callgrind can be told to count it alone.
__attribute__((noinline)) std::size_t measured(const audience& all, const std::vector<entry>& entries,
                                               std::size_t count) {
    std::size_t reached = 0;
    for (std::size_t i = 0, at = 0; i < count; ++i, at = at + 1 == entries.size() ? 0 : at + 1)
        all.each(entries[at], [&](member who, const entry_route&) { reached += 1 + (who.slot >> 31); });
    return reached;
}

void by_name(const std::string& kind, std::size_t n, std::size_t count) {
    crowd room;
    const std::size_t members = std::min<std::size_t>(200, n);
    for (std::size_t i = 0; i < members; ++i) {
        interest wanted{.broadcast = kind != "groups", .all_topics = kind == "groups"};
        for (std::size_t k = i; k < n; k += members)
            (kind == "groups" ? wanted.groups : wanted.topics).insert(key(kind, k));
        room.all.add(room.come(), wanted);
    }
    std::mt19937_64 random(7);
    std::vector<entry> entries;
    for (int i = 0; i < 4'096; ++i) {
        const std::size_t k = random() % n;
        entry& made = entries.emplace_back();
        made.topic = "room." + std::to_string(k) + ".said";
        made.routes.push_back(kind == "groups" ? entry_route{envelope::via::multicast, {key(kind, k)}, nullptr}
                                               : entry_route{envelope::via::broadcast, {}, nullptr});
    }
    measured(room.all, entries, std::min<std::size_t>(count, 4'096));
    const auto begin = clock::now();
    const std::size_t reached = measured(room.all, entries, count);
    const double took = seconds_since(begin);
    std::printf("%-10s %7zu distinct: %9.0f entries/s, %6.1f ns each, %.2f members reached by each\n", kind.c_str(), n,
                static_cast<double>(count) / took, took * 1e9 / static_cast<double>(count),
                static_cast<double>(reached) / static_cast<double>(count));
}

void everybody(std::size_t n, std::size_t count) {
    crowd room;
    for (std::size_t i = 0; i < n; ++i) room.all.add(room.come(), interest::everything());
    std::vector<entry> entries(1);
    entries[0].routes.push_back({envelope::via::broadcast, {}, nullptr});
    const auto begin = clock::now();
    const std::size_t reached = measured(room.all, entries, count);
    std::printf("everybody  %7zu members: %.2f ns for each member and broadcast\n", n,
                seconds_since(begin) * 1e9 / static_cast<double>(reached));
}

void leave(std::size_t n) {
    for (const std::string_view order : {"as they came", "the last one first", "at random"}) {
        crowd room;
        std::vector<member> all;
        for (std::size_t i = 0; i < n; ++i) {
            all.push_back(room.come());
            interest wanted = interest::everything();
            wanted.groups = {"team"};
            wanted.all_topics = false;
            wanted.topics = {"room.1", "room.*"};
            room.all.add(all.back(), wanted);
        }
        if (order == "the last one first") std::reverse(all.begin(), all.end());
        if (order == "at random") std::shuffle(all.begin(), all.end(), std::mt19937_64(7));
        const auto begin = clock::now();
        for (const member who : all) room.all.drop(who);
        std::printf("leave      %7zu members, %-18s: %6.2f ms, %5.0f ns each\n", n, order.data(),
                    seconds_since(begin) * 1e3, seconds_since(begin) * 1e9 / static_cast<double>(n));
    }
}

void memory(std::size_t n) {
    const auto used = [] {
        const auto info = mallinfo2();
        return info.uordblks + info.hblkhd;
    };
    const std::size_t before = used();
    std::size_t last = before;
    const auto say = [&](const char* what) {
        const std::size_t now = used();
        std::printf("memory     %7zu members: %6.1f octets each for %s\n", n,
                    static_cast<double>(now - last) / static_cast<double>(n), what);
        last = now;
    };
    crowd room;
    for (std::size_t i = 0; i < n; ++i) room.come();
    say("their names in the directory");
    std::deque<audience> channels;
    for (const char* const what : {"one channel", "a second channel", "a third channel"}) {
        audience& all = channels.emplace_back(room.names);
        for (std::uint32_t i = 0; i < n; ++i) all.add({i, 1}, interest::everything());
        say(what);
    }
    audience& topics = channels.emplace_back(room.names);
    for (std::uint32_t i = 0; i < n; ++i) topics.add({i, 1}, {.broadcast = true, .topics = {key("topics", i)}});
    say("a channel with one topic of its own");
    audience& teams = channels.emplace_back(room.names);
    for (std::uint32_t i = 0; i < n; ++i)
        teams.add({i, 1}, {.broadcast = true, .groups = {key("groups", i / 100)}, .all_topics = true});
    say("a channel with one group of a hundred");
    for (auto& each : channels)
        for (std::uint32_t i = 0; i < n; ++i) each.drop({i, 1});
    for (std::uint32_t i = 0; i < n; ++i) room.names.remove({i, 1});
    std::printf("memory     %7zu members: %zu octets are left when all have gone\n", n, used() - before);
}

}  // namespace
}  // namespace foz::aggregator

int main(int argc, char** argv) {
    using namespace foz::aggregator;
    const std::string what = argc > 1 ? argv[1] : "";
    const std::size_t n = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 10'000;
    const std::size_t count = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
    if (n == 0) return 2;
    if (what == "topics" || what == "patterns" || what == "groups") {
        by_name(what, n, count ? count : 2'000'000);
    } else if (what == "everybody") {
        everybody(n, count ? count : 200'000'000 / n);
    } else if (what == "leave") {
        leave(n);
    } else if (what == "memory") {
        memory(n);
    } else if (what == "frames") {
        return frame_bench();
    } else {
        std::fprintf(stderr, "what is to be measured? See the first lines of audience_bench.cpp\n");
        return 2;
    }
    return 0;
}
