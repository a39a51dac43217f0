// A consume on its way.
#pragma once

#include "aggregator/channel/interest.hpp"
#include "aggregator/session/client_error.hpp"
#include "envelope/envelope.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace foz::aggregator {

// A consume that may have to wait until services have said who may join which group.
struct pending_consume {
    std::uint64_t number = 0;
    reply_context context;
    std::map<std::size_t, interest> wanted;               // by channel
    std::map<std::size_t, envelope::resume_from> from;    // by channel
    std::set<std::pair<std::size_t, std::string>> joins;  // groups of channels that have not been answered yet
    // What services have said of these: since when it may hear them, in seconds since 1970.
    std::map<std::pair<std::size_t, std::string>, std::uint64_t> since;
    std::optional<client_error> error;

    std::size_t size() const {
        std::size_t sum = 0;
        for (const auto& [channel, what] : wanted) sum += what.size();
        return sum;
    }
    // A leave undoes it, as if it had been complete.
    void leave(std::size_t channel, const interest& left) {
        const auto at = wanted.find(channel);
        if (at == wanted.end()) return;
        if (!at->second.take_away(left)) {
            wanted.erase(at);
            from.erase(channel);
        }
        std::erase_if(joins, [&](const auto& join) {
            return join.first == channel && (!wanted.contains(channel) || left.groups.contains(join.second));
        });
    }
};

}  // namespace foz::aggregator
