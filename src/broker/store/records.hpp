// How the store's records look, whatever engine keeps them.
#pragma once

#include "amqp/codec/wire.hpp"
#include "broker/core/storage.hpp"

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace foz::broker {

inline constexpr std::size_t entry_key_size = 16;
inline constexpr std::size_t entry_head_size = 8;  // when it arrived; the message's octets follow

// Entries of one queue lie together and in order.
inline void write_entry_key(char* to, queue_number queue, position at) {
    amqp::store_big_endian(to, queue);
    amqp::store_big_endian(to + sizeof(queue), at);
}

inline std::string entry_key(queue_number queue, position at) {
    std::string key(entry_key_size, '\0');
    write_entry_key(key.data(), queue, at);
    return key;
}

// Into entry_head_size + message::octets().size() octets.
inline void write_entry(char* to, const stored_entry& entry) {
    amqp::store_big_endian(to, static_cast<std::uint64_t>(entry.arrived_ms));
    const std::string_view octets = entry.what->octets();
    std::memcpy(to + entry_head_size, octets.data(), octets.size());
}

// Nothing when it is broken.
inline std::optional<stored_entry> read_entry(position at, std::string_view value) {
    if (value.size() < entry_head_size) return std::nullopt;
    auto what = message::from_octets(value.substr(entry_head_size));
    if (!what) return std::nullopt;
    return stored_entry{.at = at,
                        .what = std::move(*what),
                        .arrived_ms = static_cast<std::int64_t>(amqp::load_big_endian<std::uint64_t>(value.data()))};
}

inline std::string write_summary(const log_summary& summary) {
    std::string out;
    amqp::writer to(out);
    for (const std::uint64_t value : {summary.count, summary.bytes, summary.next, summary.delivered_end}) to.u64(value);
    return out;
}

inline log_summary read_summary(std::string_view value) {
    amqp::reader in(value);
    log_summary out;
    out.count = in.u64();
    out.bytes = in.u64();
    out.next = in.u64();
    out.delivered_end = in.u64();
    return out;
}

}  // namespace foz::broker
