// The last messages of each room, for newcomers.
#pragma once

#include <cstddef>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace chat {

// Fed from the channel's own stream, so that every worker has the same, whatever was said through which of them.
// Bounded: the room in which nothing was said for the longest time goes first. Thread-safe.
class history {
public:
    static constexpr std::size_t messages_max = 50;  // for each room
    static constexpr std::size_t rooms_max = 1'000;

    // JSON values, oldest first, with commas between them; and their ids as JSON texts, in the same way.
    struct excerpt {
        std::string messages;
        std::string ids;
    };

    void add(std::string_view room, std::string_view id, std::string_view message);
    excerpt last(std::string_view room, std::size_t count) const;

private:
    struct entry {
        std::string id;  // as JSON
        std::string message;
    };
    struct room {
        std::string name;
        std::deque<entry> entries;
    };

    mutable std::mutex mutex_;
    std::list<room> rooms_;  // the one spoken in last is first
    std::unordered_map<std::string_view, std::list<room>::iterator> by_name_;
};

}  // namespace chat
