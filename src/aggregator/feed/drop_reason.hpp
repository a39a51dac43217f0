// Why a message reaches nobody. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace foz::aggregator {

// Each has its counter.
enum class drop_reason : std::uint8_t { not_json, expired, no_receiver, bad_header, not_utf8, ours, too_large };
inline constexpr std::size_t drop_reasons = 7;

// For people; empty when nobody needs to hear of it.
std::string_view to_text(drop_reason reason) noexcept;

}  // namespace foz::aggregator
