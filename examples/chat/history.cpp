#include "history.hpp"

#include "base/json.hpp"

#include <algorithm>
#include <utility>

namespace chat {

void history::add(std::string_view name, std::string_view id, std::string_view message) {
    const std::lock_guard lock(mutex_);
    const auto known = by_name_.find(name);
    if (known != by_name_.end()) {
        rooms_.splice(rooms_.begin(), rooms_, known->second);
    } else {
        rooms_.push_front({.name = std::string(name), .entries = {}});
        by_name_.emplace(rooms_.front().name, rooms_.begin());
    }
    auto& entries = rooms_.front().entries;
    std::string text = foz::json_string(id);
    if (!foz::is_json(text)) text = "\"\"";  // an id that somebody else's program has made of any octets
    entries.push_back({.id = std::move(text), .message = std::string(message)});
    if (entries.size() > messages_max) entries.pop_front();
    if (rooms_.size() <= rooms_max) return;
    by_name_.erase(rooms_.back().name);
    rooms_.pop_back();
}

history::excerpt history::last(std::string_view name, std::size_t count) const {
    const std::lock_guard lock(mutex_);
    excerpt all;
    const auto known = by_name_.find(name);
    if (known == by_name_.end()) return all;
    const auto& entries = known->second->entries;
    for (auto i = entries.size() - std::min(count, entries.size()); i < entries.size(); ++i) {
        const std::string_view comma = all.ids.empty() ? "" : ",";
        all.messages.append(comma).append(entries[i].message);
        all.ids.append(comma).append(entries[i].id);
    }
    return all;
}

}  // namespace chat
