#include "aggregator/channel/entry_run.hpp"

#include <cassert>
#include <string>
#include <utility>

namespace foz::aggregator {

bool entry_run::takes(const entry& next) const {
    if (next.routes.size() != 1 || next.tail || next.answer || next.question || next.too_large) return false;
    const entry_route& route = next.routes.front();
    if (route.head->size() > frame_octets_max) return false;
    if (empty()) return true;
    const entry& before = first();
    const entry_route& known = before.routes.front();
    return octets_ + route.head->size() <= octets_max_ && next.channel == before.channel && route.how == known.how &&
           next.topic == before.topic && route.receivers == known.receivers;
}

void entry_run::add(entry_ref next) {
    assert(takes(*next));
    octets_ += next->routes.front().head->size();
    entries_.push_back(std::move(next));
}

frame_ref entry_run::joined() const {
    if (entries_.size() == 1) return frame_ref::of(first().routes.front().head);
    std::string all;
    all.reserve(octets_);
    for (const entry_ref& one : entries_) all += *one->routes.front().head;
    return frame_ref::take(std::move(all));
}

void entry_run::clear() noexcept {
    entries_.clear();
    octets_ = 0;
}

}  // namespace foz::aggregator
