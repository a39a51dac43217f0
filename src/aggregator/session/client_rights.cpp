#include "aggregator/session/client_rights.hpp"

#include "envelope/topic.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {

topic_rights::topic_rights(std::vector<std::string> patterns)
    : patterns_(std::move(patterns)), all_(std::ranges::find(patterns_, "#") != patterns_.end()) {}

bool topic_rights::allow(std::string_view topic) const noexcept {
    return all_ ||
           std::ranges::any_of(patterns_, [&](const std::string& one) { return envelope::matches(one, topic); });
}

bool topic_rights::cover(std::string_view pattern) const {
    return all_ ||
           std::ranges::any_of(patterns_, [&](const std::string& one) { return envelope::covers(one, pattern); });
}

bool channel_rights::allow_type(std::string_view type) const noexcept {
    if (types.empty()) return true;
    return std::ranges::any_of(types, [&](std::string_view one) {
        return one.ends_with('*') ? type.starts_with(one.substr(0, one.size() - 1)) : type == one;
    });
}

bool client_rights::may_join(std::string_view group) const noexcept {
    return groups && std::ranges::binary_search(*groups, group);
}

std::vector<channel_rights> default_rights(std::span<const contract::channel_settings> channels) {
    std::vector<channel_rights> all;
    for (const auto& one : channels)
        all.push_back({.consume = topic_rights(one.may_consume),
                       .publish = topic_rights(one.may_publish),
                       .request = topic_rights(one.may_request),
                       .types = one.may_send_types});
    return all;
}

}  // namespace foz::aggregator
