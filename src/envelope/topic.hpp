// Topics and topic patterns, AMQP 0-9-1 §3.1.3.3: words separated by dots; in a pattern `*` stands for one word and `#`
// for zero or more.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace foz::envelope {

// A routing key is `<channel>.<topic>` and at most 255 octets (AMQP 0-9-1 §4.2.5.3).
inline constexpr std::size_t routing_key_bytes_max = 255;
inline constexpr std::size_t channel_bytes_max = 32;
inline constexpr std::size_t topic_bytes_max = routing_key_bytes_max - channel_bytes_max - 1;

// Allocates nothing; at most words(pattern) × words(topic) comparisons. An empty text has no words, and words may be
// empty: both as RabbitMQ does it, for any input.
bool matches(std::string_view pattern, std::string_view topic) noexcept;

// Whatever matches `inner` matches `outer`. Says true only where it is so, and may miss a cover that takes more than
// one way through the same #. Compares at most words(outer) × words(inner) pairs; both are patterns without a flaw.
bool covers(std::string_view outer, std::string_view inner);

// What is wrong with a topic that is published: empty, longer than topic_bytes_max, an empty word, a control character,
// not UTF-8, or a wildcard. A literal for people, nothing when all is well.
std::optional<std::string_view> check_topic(std::string_view topic) noexcept;

// The same for a pattern: a wildcard must be a word of its own (RabbitMQ would take `a*` literally, and no topic could
// ever match it).
std::optional<std::string_view> check_pattern(std::string_view pattern) noexcept;

}  // namespace foz::envelope
