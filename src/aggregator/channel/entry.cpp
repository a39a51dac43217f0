#include "aggregator/channel/entry.hpp"

namespace foz::aggregator {

std::size_t entry::bytes() const noexcept {
    std::size_t sum = sizeof(entry) + topic.size() + (tail ? tail->size() : 0);
    for (const auto& route : routes) {
        sum += sizeof(entry_route) + route.head->size();
        for (const auto& receiver : route.receivers) sum += sizeof(std::string) + receiver.size();
    }
    if (answer) sum += answer->body.size();
    return sum;
}

std::span<const frame_ref> entry_frames::of(const entry_route& route) & {
    if (route_ != &route) {
        route_ = &route;
        pieces_[0] = frame_ref::of(route.head);
        if (entry_.tail && !pieces_[1]) pieces_[1] = frame_ref::of(entry_.tail);
    }
    return {pieces_.data(), entry_.tail ? 2u : 1u};
}

}  // namespace foz::aggregator
