#include "history.hpp"

#include <algorithm>

namespace chat {

void history::add(std::string_view name, std::string_view message) {
    const std::lock_guard lock(mutex_);
    const auto known = by_name_.find(name);
    if (known != by_name_.end()) {
        rooms_.splice(rooms_.begin(), rooms_, known->second);
    } else {
        rooms_.push_front({.name = std::string(name), .messages = {}});
        by_name_.emplace(rooms_.front().name, rooms_.begin());
    }
    auto& messages = rooms_.front().messages;
    messages.emplace_back(message);
    if (messages.size() > messages_max) messages.pop_front();
    if (rooms_.size() <= rooms_max) return;
    by_name_.erase(rooms_.back().name);
    rooms_.pop_back();
}

std::string history::last(std::string_view name, std::size_t count) const {
    const std::lock_guard lock(mutex_);
    std::string json;
    const auto known = by_name_.find(name);
    if (known == by_name_.end()) return json;
    const auto& messages = known->second->messages;
    for (auto i = messages.size() - std::min(count, messages.size()); i < messages.size(); ++i) {
        if (!json.empty()) json += ',';
        json += messages[i];
    }
    return json;
}

}  // namespace chat
