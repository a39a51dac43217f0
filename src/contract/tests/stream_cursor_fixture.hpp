// A stream, a broker that gives what was asked for, and what a cursor makes of it.
#pragma once

#include "contract/stream_cursor.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace foz::contract {

using namespace std::chrono_literals;
using kind = cursor_event::kind;
using cause = cursor_event::cause;

inline stream_cursor_options live(std::uint64_t history = 0) {
    return {.begin = {.what = attach_at::kind::next}, .marker_prefix = "marker.a", .history_entries = history};
}

inline attach_at at(std::uint64_t offset) {
    return {.what = attach_at::kind::offset, .value = offset};
}
inline const attach_at next{.what = attach_at::kind::next};

// A stream with holes, and a broker that gives what a consumer asked for.
struct stream {
    struct said {
        std::uint32_t check;
        std::string id;
        bool too_large = false;
        bool repeatable = true;
    };
    std::map<std::uint64_t, said> entries;
    std::uint64_t end = 0;

    std::uint64_t say(const std::string& id = "", std::uint32_t check = 0) {
        entries[end] = {check != 0 ? check : static_cast<std::uint32_t>(end + 1), id};
        return end++;
    }
    void say_many(unsigned n) {
        for (; n > 0; --n) say("m" + std::to_string(end));
    }
    void hole() { ++end; }
    void retain_from(std::uint64_t first) { entries.erase(entries.begin(), entries.lower_bound(first)); }
    void make_anew() { *this = {}; }
};

struct reading {
    explicit reading(const stream_cursor_options& options) : cursor(options) {}

    // Attaches where the cursor wants, and notes what it says. Markers are published unless the broker takes none.
    void attach() {
        const attach_at where = cursor.where();
        attached_at.push_back(where);
        cursor.attaching();
        position = where.what == attach_at::kind::offset ? where.value
                   : where.what == attach_at::kind::next ? from.end
                                                         : 0;
        hears_below = deaf ? from.end : UINT64_MAX;
        cursor.attached(now, out);
        take();
    }
    // Everything that the broker has for this consumer; attaches again when the cursor asks for it.
    void run() {
        for (unsigned rounds = 0; rounds < 10'000; ++rounds) {
            if (again) {
                again = false;
                cursor.lost();
                attach();
                continue;
            }
            const auto found = from.entries.lower_bound(position);
            if (silent || found == from.entries.end() || found->first >= hears_below) return;
            deliver(found->first, found->second);
            position = found->first + 1;
        }
        FAIL() << "it asks for ever";
    }
    void deliver(std::uint64_t offset, const stream::said& what) {
        cursor.delivered({.at = {offset, what.check},
                          .message_id = what.id,
                          .repeatable = what.repeatable,
                          .marker = what.id.starts_with("marker."),
                          .too_large = what.too_large,
                          .octets = octets},
                         now, out);
        take(offset);
    }
    void start() {
        attach();
        run();
    }
    void interrupt() {
        cursor.lost();
        attach();
        run();
    }
    // Until nothing is due, or for so long.
    void wait(std::chrono::milliseconds long_enough) {
        const steady_time end = now + long_enough;
        while (cursor.deadline() && *cursor.deadline() <= end) {
            now = std::max(now, *cursor.deadline());
            cursor.tick(now, out);
            take();
            run();
        }
        now = end;
    }
    void take(std::uint64_t offset = 0) {
        for (cursor_event& event : std::exchange(out, {})) {
            switch (event.what) {
                case kind::entry:
                    (event.history ? history : heard).push_back(offset);
                    break;
                case kind::publish_marker:
                    ++markers;
                    if (takes_markers) from.say(event.marker, 0xffff);
                    break;
                case kind::ask_again:
                    again = true;
                    break;
                case kind::caught_up:
                    ++caught_up;
                    break;
                case kind::proven:
                    ++proven;
                    break;
                case kind::gap:
                    gaps.push_back(event.why);
                    break;
                case kind::duplicate:
                    duplicates.push_back(offset);
                    break;
                case kind::skipped:
                    skipped.push_back({offset, event.why});
                    break;
                case kind::restarted:
                    ++restarted;
                    history.clear();
                    break;
                case kind::repeated:
                    ++repeated;
                    break;
            }
        }
    }

    stream from;
    stream_cursor cursor;
    steady_time now{1h};
    std::uint64_t position = 0;
    bool silent = false;  // the broker sends nothing
    bool deaf = false;    // the next attaching gives what is there, and nothing that comes
    std::uint64_t hears_below = UINT64_MAX;
    bool takes_markers = true;
    bool again = false;
    std::size_t octets = 10;
    std::vector<cursor_event> out;

    std::vector<attach_at> attached_at;
    std::vector<std::uint64_t> heard, history, duplicates;
    std::vector<std::pair<std::uint64_t, cause>> skipped;
    std::vector<cause> gaps;
    int markers = 0, caught_up = 0, proven = 0, restarted = 0, repeated = 0;
};

inline std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> all;
    for (; from < to; ++from) all.push_back(from);
    return all;
}

using offsets = std::vector<std::uint64_t>;
using causes = std::vector<cause>;

}  // namespace foz::contract
