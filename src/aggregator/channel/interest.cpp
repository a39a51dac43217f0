#include "aggregator/channel/interest.hpp"

namespace foz::aggregator {

bool interest::take_away(const interest& what) {
    if (what.names_nothing()) return false;
    broadcast &= !what.broadcast;
    direct &= !what.direct;
    own_name &= !what.own_name;
    for (const auto& group : what.groups) groups.erase(group);
    for (const auto& topic : what.topics) topics.erase(topic);
    return (all_topics || !topics.empty()) && (broadcast || direct || own_name || !groups.empty());
}

}  // namespace foz::aggregator
