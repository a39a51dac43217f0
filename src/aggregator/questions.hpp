// What services have asked clients and await an answer to, on one shard.
#pragma once

#include "aggregator/outbound.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace foz::aggregator {

// The first socket that answers wins; an answer is accepted only from a socket that was asked. Bounded: what has
// expired is forgotten first, then the oldest is.
class questions {
public:
    struct open_question {
        std::size_t channel = 0;
        outbound_question what;
        std::vector<std::uint64_t> asked;  // sessions' serials
        bool answered = false;
    };
    enum class verdict { first, late, unknown };

    void ask(std::size_t channel, const outbound_question& what, std::uint64_t session, wall_time now) {
        if (open_.size() >= questions_max)
            std::erase_if(open_, [&](const auto& item) { return item.second.what.expires < now; });
        if (open_.size() >= questions_max) open_.erase(open_.begin());
        auto& entry = open_.try_emplace(what.id, open_question{.channel = channel, .what = what}).first->second;
        entry.asked.push_back(session);
    }

    // `question` is set when the answer is the first one and in time.
    verdict answer(const std::string& id, std::uint64_t session, wall_time now, const open_question*& question) {
        const auto at = open_.find(id);
        if (at == open_.end()) return verdict::unknown;
        open_question& entry = at->second;
        if (std::find(entry.asked.begin(), entry.asked.end(), session) == entry.asked.end()) return verdict::unknown;
        if (entry.what.expires < now || std::exchange(entry.answered, true)) return verdict::late;
        question = &entry;
        return verdict::first;
    }

private:
    static constexpr std::size_t questions_max = 10'000;
    std::unordered_map<std::string, open_question> open_;
};

}  // namespace foz::aggregator
