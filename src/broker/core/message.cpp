#include "broker/core/message.hpp"

#include "amqp/codec/wire.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

namespace foz::broker {

message_ref::~message_ref() {
    if (!to_ || --to_->references_ != 0) return;
    to_->~message();
    ::operator delete(static_cast<void*>(to_));
}

message_ref message::allocate(std::size_t size) {
    auto* const made = new (::operator new(sizeof(message) + size)) message;
    made->size_ = size;
    return message_ref(made);
}

std::expected<message_ref, amqp::wire_error> message::make(const message_parts& parts) {
    constexpr std::size_t name_max = 255;
    if (parts.exchange.size() > name_max || parts.routing_key.size() > name_max)
        return std::unexpected(amqp::wire_error::string_too_long);
    message_ref made = allocate(head_size + parts.exchange.size() + parts.routing_key.size() + parts.properties.size() +
                                parts.body.size());
    message& self = *made.to_;
    self.body_file_ = parts.body_file;
    char* at = self.data();
    *at++ = static_cast<char>(parts.exchange.size());
    *at++ = static_cast<char>(parts.routing_key.size());
    amqp::store_big_endian(at, static_cast<std::uint32_t>(parts.properties.size()));
    at += sizeof(std::uint32_t);
    for (const std::string_view part : {parts.exchange, parts.routing_key, parts.properties, parts.body}) {
        if (!part.empty()) std::memcpy(at, part.data(), part.size());
        at += part.size();
    }
    if (parts.scanned) {
        self.measure();
        self.remember(*parts.scanned, parts.properties);
    } else if (const auto looked = self.look(); !looked) {
        return std::unexpected(looked.error());
    }
    return made;
}

std::optional<message_ref> message::from_octets(std::string_view octets, std::string_view body) {
    if (octets.size() < head_size) return std::nullopt;
    message_ref made = allocate(octets.size() + body.size());
    std::memcpy(made.to_->data(), octets.data(), octets.size());
    if (!body.empty()) std::memcpy(made.to_->data() + octets.size(), body.data(), body.size());
    if (!made.to_->look()) return std::nullopt;
    return made;
}

void message::measure() noexcept {
    exchange_size_ = static_cast<std::uint8_t>(data()[0]);
    key_size_ = static_cast<std::uint8_t>(data()[1]);
    properties_size_ = amqp::load_big_endian<std::uint32_t>(data() + 2);
}

std::expected<void, amqp::wire_error> message::look() {
    measure();
    if (head_size + exchange_size_ + key_size_ + std::uint64_t{properties_size_} > size_)
        return std::unexpected(amqp::wire_error::truncated);
    const auto seen = amqp::scan_properties(properties());
    if (!seen) return std::unexpected(seen.error());
    remember(*seen, properties());
    return {};
}

void message::remember(const amqp::property_view& seen, std::string_view of) noexcept {
    if (!seen.headers.empty()) {
        const auto before = (properties().data() - data()) + (seen.headers.data() - of.data());
        headers_at_ = static_cast<std::uint32_t>(before);
        headers_size_ = static_cast<std::uint32_t>(seen.headers.size());
    }
    persistent_ = seen.delivery_mode == 2;
    priority_ = seen.priority.value_or(0);
    const auto expires = seen.expiration ? parse_expiration(*seen.expiration) : std::nullopt;
    expiration_ms_ = expires ? expires->count() : -1;
}

std::optional<std::chrono::milliseconds> parse_expiration(std::string_view text) {
    constexpr std::int64_t longest = std::int64_t{1'000'000} * 365 * 24 * 3600;  // a thousand years
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end != text.data() + text.size() || value < 0 || text.empty()) return std::nullopt;
    if (failure == std::errc::result_out_of_range) return std::chrono::milliseconds(longest);
    if (failure != std::errc()) return std::nullopt;
    return std::chrono::milliseconds(std::min(value, longest));
}

}  // namespace foz::broker
