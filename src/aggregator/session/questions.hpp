// What services have asked clients and await an answer to, on one shard.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/channel/member.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace foz::aggregator {

// The first socket that answers wins; an answer is accepted only from a socket that was asked. Bounded: what has
// expired is forgotten first, then what expires next.
class questions {
public:
    struct open_question {
        std::size_t channel = 0;
        entry_question what;
        std::vector<member> asked;
        bool answered = false;
    };

    explicit questions(std::size_t capacity = 10'000) : capacity_(capacity) {}

    void ask(std::size_t channel, const entry_question& what, member session, wall_time now) {
        auto at = open_.find(what.id);
        if (at == open_.end()) {
            make_room(now);
            at = open_.emplace(what.id, open_question{.channel = channel, .what = what, .asked = {}}).first;
            ends_.emplace(what.expires, what.id);
        }
        auto& asked = at->second.asked;  // again after each resume
        if (std::ranges::find(asked, session) == asked.end()) asked.push_back(session);
    }

    // Null when this session was not asked it. The question may have expired, or have been answered.
    open_question* find(const std::string& id, member session) {
        const auto at = open_.find(id);
        if (at == open_.end()) return nullptr;
        const auto& asked = at->second.asked;
        return std::ranges::find(asked, session) == asked.end() ? nullptr : &at->second;
    }

    // This session was asked something that nobody has answered yet and somebody still waits for.
    bool awaits(member session, wall_time now) const {
        return std::ranges::any_of(open_, [&](const auto& one) {
            const open_question& question = one.second;
            return !question.answered && question.what.expires >= now &&
                   std::ranges::find(question.asked, session) != question.asked.end();
        });
    }

    // That had not expired, for want of room.
    std::uint64_t forgotten() const noexcept { return forgotten_; }

private:
    void make_room(wall_time now) {
        while (!ends_.empty() && (open_.size() >= capacity_ || ends_.begin()->first < now)) {
            forgotten_ += ends_.begin()->first >= now;
            open_.erase(ends_.begin()->second);
            ends_.erase(ends_.begin());
        }
    }

    const std::size_t capacity_;
    std::uint64_t forgotten_ = 0;
    std::unordered_map<std::string, open_question> open_;
    std::set<std::pair<wall_time, std::string>> ends_;
};

}  // namespace foz::aggregator
