// What a queue is declared with.
#pragma once

#include "amqp/codec/field_table.hpp"
#include "broker/core/refusal.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace foz::broker {

// Of TTLs and expiries, in arguments and policies: ten years, as RabbitMQ 4 has it.
inline constexpr std::chrono::milliseconds time_max{315'360'000'000};

enum class queue_kind : std::uint8_t { classic, quorum, stream };
enum class overflow : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };

struct queue_flags {
    bool durable = false;
    bool exclusive = false;
    bool auto_delete = false;

    bool operator==(const queue_flags&) const = default;
};

// The optional arguments (x-…), read. Sizes in octets.
struct queue_settings {
    queue_kind kind = queue_kind::classic;
    std::optional<std::chrono::milliseconds> message_ttl;
    std::optional<std::chrono::milliseconds> expires;
    std::optional<std::uint64_t> length_max;
    std::optional<std::uint64_t> bytes_max;
    overflow when_full = overflow::drop_head;
    std::optional<std::string> dead_letter_exchange;
    std::optional<std::string> dead_letter_routing_key;
    bool dead_letter_at_least_once = false;
    std::optional<std::uint64_t> delivery_limit;
    bool single_active = false;
    // Streams alone.
    std::optional<std::chrono::milliseconds> age_max;
    std::uint64_t segment_bytes = 500'000'000;
};

// Errors (406) name the argument, the queue and the virtual host. A quorum queue or stream that is exclusive, deletes
// itself or is not durable is refused too.
result<queue_settings> read_arguments(const amqp::table& arguments, queue_flags flags, std::string_view described);

// A value and its type as RabbitMQ prints them in refusals.
std::string printed(const amqp::field_value& value);
std::string type_name(const amqp::field_value& value);

// "inequivalent arg 'x' for …" (406) unless both say the same. `described`: "queue 'q' in vhost '/'".
result<void> require_same(std::string_view name, bool received, bool current, std::string_view described);
result<void> require_same(std::string_view name, std::string_view received, std::string_view current,
                          std::string_view described);
// The named arguments only.
result<void> require_same(std::string_view name, const amqp::table& received, const amqp::table& current,
                          std::string_view described);

// "1Y", "7D", "36h", "90m", "20s": RabbitMQ's intervals of retention.
std::optional<std::chrono::milliseconds> parse_interval(std::string_view text);

}  // namespace foz::broker
