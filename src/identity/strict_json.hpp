// JSON from outside as a tree, stricter than RFC 8259: no member twice, nesting bounded. Internal to the module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include <simdjson.h>

namespace foz::identity {

inline constexpr std::size_t nesting_max = 32;

enum class json_flaw : std::uint8_t { not_an_object, duplicate_member };

// The tree lives in the calling thread's parser, until the next call in that thread; its memory is reused. Names are
// compared as they are after escapes, so that "alg" and "\u0061lg" are the same.
std::expected<simdjson::dom::object, json_flaw> parse_object(std::string_view octets);

// The member, or nothing.
std::optional<simdjson::dom::element> member(simdjson::dom::object from, std::string_view name);
// Nothing, too, when it is not a string.
std::optional<std::string_view> string_member(simdjson::dom::object from, std::string_view name);

// 1 to `octets_max` octets without control characters (U+0000 to U+001F, U+007F to U+009F). The text is valid UTF-8.
bool is_plain_text(std::string_view text, std::size_t octets_max) noexcept;

}  // namespace foz::identity
