// A message as the broker holds it.
#pragma once

#include "amqp/codec/error.hpp"
#include "amqp/codec/property_view.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <utility>

namespace foz::broker {

struct message_parts {
    std::string_view exchange;     // at most 255 octets
    std::string_view routing_key;  // at most 255 octets
    std::string_view properties;   // flags and list as they came (AMQP 0-9-1 §4.2.6.1)
    std::string_view body;
    const amqp::property_view* scanned = nullptr;  // the same properties, when they were looked at before
    std::uint32_t body_file = 0;                   // message::body_file() of one with the same body
};

class message;

// A counted reference. The count is not atomic: messages stay on the broker's shard.
class message_ref {
public:
    message_ref() noexcept = default;
    message_ref(const message_ref& other) noexcept;
    message_ref(message_ref&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
    message_ref& operator=(message_ref other) noexcept {
        std::swap(to_, other.to_);
        return *this;
    }
    ~message_ref();

    explicit operator bool() const noexcept { return to_ != nullptr; }
    // For the storage: message::body_file(). The message is there.
    void set_body_file(std::uint32_t file) const noexcept;
    const message& operator*() const noexcept { return *to_; }
    const message* operator->() const noexcept { return to_; }

private:
    friend class message;
    explicit message_ref(message* to) noexcept : to_(to) {}
    message* to_ = nullptr;
};

// Immutable, one allocation, shared by every queue that it was routed to. Its octets are also what the store keeps.
class message {
public:
    // The properties are checked (amqp::scan_properties). An expiration that is no number of milliseconds is an error
    // of the publisher's that is found before; here it counts as none.
    static std::expected<message_ref, amqp::wire_error> make(const message_parts& parts);
    // Of octets() of another one, or of its head() and its body; nothing when they are none.
    static std::optional<message_ref> from_octets(std::string_view octets, std::string_view body = {});

    std::string_view octets() const noexcept { return {data(), size_}; }
    std::string_view exchange() const noexcept { return {data() + head_size, exchange_size_}; }
    std::string_view routing_key() const noexcept { return {exchange().end(), key_size_}; }
    std::string_view properties() const noexcept { return {routing_key().end(), properties_size_}; }
    std::string_view body() const noexcept {
        const char* const begin = properties().end();
        return {begin, static_cast<std::size_t>(data() + size_ - begin)};
    }
    // What octets() begins with: everything but the body.
    std::string_view head() const noexcept { return octets().substr(0, size_ - body().size()); }
    // Where the storage keeps the body, if that is in a file of its own; 0: it does not.
    std::uint32_t body_file() const noexcept { return body_file_; }
    // The encoded entries of the headers (amqp::has_key); empty when there are none.
    std::string_view headers() const noexcept { return {data() + headers_at_, headers_size_}; }
    bool persistent() const noexcept { return persistent_; }
    std::uint8_t priority() const noexcept { return priority_; }
    std::optional<std::chrono::milliseconds> expiration() const noexcept {
        return expiration_ms_ < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(expiration_ms_));
    }
    // Of memory, about.
    std::size_t bytes() const noexcept { return sizeof(message) + size_; }

private:
    friend class message_ref;
    // Octets: u8 size of the exchange, u8 of the routing key, u32 of the properties; then these and the body.
    static constexpr std::size_t head_size = 6;

    message() = default;
    static message_ref allocate(std::size_t size);
    void measure() noexcept;
    std::expected<void, amqp::wire_error> look();
    // `seen`: views into `of`, which has the same octets as properties().
    void remember(const amqp::property_view& seen, std::string_view of) noexcept;
    const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }
    char* data() noexcept { return reinterpret_cast<char*>(this + 1); }

    mutable std::uint32_t references_ = 1;
    std::uint32_t properties_size_ = 0;
    std::size_t size_ = 0;
    std::int64_t expiration_ms_ = -1;
    std::uint32_t headers_at_ = 0;
    std::uint32_t headers_size_ = 0;
    std::uint8_t exchange_size_ = 0;
    std::uint8_t key_size_ = 0;
    std::uint8_t priority_ = 0;
    bool persistent_ = false;
    std::uint32_t body_file_ = 0;
};

// A number of milliseconds as the property `expiration` has it: digits alone; nothing for anything else.
std::optional<std::chrono::milliseconds> parse_expiration(std::string_view text);

inline message_ref::message_ref(const message_ref& other) noexcept : to_(other.to_) {
    if (to_) ++to_->references_;
}

inline void message_ref::set_body_file(std::uint32_t file) const noexcept {
    to_->body_file_ = file;
}

}  // namespace foz::broker
