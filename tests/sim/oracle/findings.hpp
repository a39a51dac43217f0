// What was found wrong in a run. The first one counts; what follows may be its consequence.
#pragma once

#include "core/history.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace foz::sim {

enum class invariant : std::uint8_t {
    lost,
    repeated,
    out_of_order,
    gap_not_told,
    false_gap,
    position_not_told,
    answered,
    acknowledged,
    silence,
    bounded,
    fair,
    publishing,
    protocol,
    determinism,
    livelock,
};
std::string_view to_string(invariant which) noexcept;
inline constexpr std::size_t invariants_count = 15;

struct finding {
    invariant what;
    std::string text;
};

class findings {
public:
    explicit findings(history& log) : log_(log) {}

    template <class... Args>
    void add(invariant what, fmt::format_string<Args...> text, Args&&... args) {
        if (first_) return;
        first_ = finding{what, fmt::format(text, std::forward<Args>(args)...)};
        log_.say("ORACLE", "{}: {}", to_string(what), first_->text);
    }
    bool any() const noexcept { return first_.has_value(); }
    const std::optional<finding>& first() const noexcept { return first_; }

    // So many things were compared for it.
    void compared(invariant what, std::uint64_t count = 1) { compared_[static_cast<std::size_t>(what)] += count; }
    std::uint64_t compared_for(invariant what) const { return compared_[static_cast<std::size_t>(what)]; }

private:
    history& log_;
    std::optional<finding> first_;
    std::uint64_t compared_[invariants_count]{};
};

}  // namespace foz::sim
