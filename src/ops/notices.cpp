#include "ops/notices.hpp"

#include <utility>

namespace foz::ops {
namespace {

constexpr std::string_view many_kinds = "many kinds of notices";

}  // namespace

void notices::say(std::string_view text, steady_time now) {
    const std::lock_guard lock(mutex_);
    std::string_view name = text.substr(0, text.find(','));
    auto at = kinds_.find(name);
    if (at == kinds_.end()) {
        if (kinds_.size() >= options_.kinds_max) {
            std::erase_if(kinds_, [now](const auto& one) { return one.second.limit.quiet(now); });
            if (kinds_.size() >= options_.kinds_max) name = many_kinds;
        }
        at = kinds_.try_emplace(std::string(name), kind{notice_limiter(options_.interval), {}}).first;
    }
    kind& of = at->second;
    const auto kept_back = of.limit.count(now);
    if (!kept_back) {
        of.last = text;
        ++kept_back_;
        return;
    }
    if (*kept_back > 0) tell(of, *kept_back);
    sink_(std::string(text));
    of.last.clear();
}

void notices::tick(steady_time now) {
    const std::lock_guard lock(mutex_);
    for (auto& [name, of] : kinds_)
        if (const auto kept_back = of.limit.overdue(now)) tell(of, *kept_back);
    std::erase_if(kinds_, [now](const auto& one) { return one.second.limit.quiet(now); });
}

// The last one in full, and how many more were like it.
void notices::tell(const kind& of, std::uint64_t kept_back) {
    sink_(kept_back == 1 ? of.last : of.last + " (and " + std::to_string(kept_back - 1) + " like this)");
}

}  // namespace foz::ops
