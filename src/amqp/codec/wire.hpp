// Reading and writing AMQP's elementary values (AMQP 0-9-1 §4.2.5). Used by the codec and its generated code.
#pragma once

#include "amqp/codec/constants.hpp"
#include "amqp/codec/error.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace foz::amqp {

template <std::unsigned_integral T>
constexpr T load_big_endian(const char* from) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<std::uint8_t>(from[i]);
    return static_cast<T>(value);
}

template <std::unsigned_integral T>
constexpr void store_big_endian(char* to, T value) noexcept {
    for (std::size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
}

// Reads values from the front of a view. The first failure sticks: everything after it reads as zero or empty and
// consumes nothing, so a decoder checks once, at finish().
class reader {
public:
    explicit reader(std::string_view octets) noexcept : octets_(octets) {}

    std::uint8_t u8() noexcept { return load<std::uint8_t>(); }
    std::uint16_t u16() noexcept { return load<std::uint16_t>(); }
    std::uint32_t u32() noexcept { return load<std::uint32_t>(); }
    std::uint64_t u64() noexcept { return load<std::uint64_t>(); }

    // A view into the octets; empty after a failure.
    std::string_view take(std::size_t size) noexcept {
        if (size > octets_.size()) {
            fail(wire_error::truncated);
            return {};
        }
        const std::string_view taken = octets_.substr(0, size);
        octets_.remove_prefix(size);
        return taken;
    }

    void short_string(std::string& out) { out.assign(take(u8())); }
    void long_string(std::string& out) { out.assign(take(u32())); }
    void skip_short_string() noexcept { take(u8()); }
    void skip_long_string() noexcept { take(u32()); }

    void fail(wire_error error) noexcept {
        if (!error_) error_ = error;
        octets_ = {};
    }
    bool failed() const noexcept { return error_.has_value(); }
    std::optional<wire_error> error() const noexcept { return error_; }
    bool at_end() const noexcept { return octets_.empty(); }

    // Success when nothing failed and nothing is left.
    std::expected<void, wire_error> finish() const noexcept {
        if (error_) return std::unexpected(*error_);
        if (!octets_.empty()) return std::unexpected(wire_error::trailing_octets);
        return {};
    }

private:
    template <std::unsigned_integral T>
    T load() noexcept {
        const std::string_view taken = take(sizeof(T));
        return taken.empty() ? T{0} : load_big_endian<T>(taken.data());
    }

    std::string_view octets_;
    std::optional<wire_error> error_;
};

// Appends values to a string that outlives it. The first failure sticks, and finish() then cuts the string back to
// what it was: an encoder never leaves half a frame behind.
class writer {
public:
    explicit writer(std::string& out) noexcept : out_(out), start_(out.size()), frame_(out.size()) {}

    void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
    void u16(std::uint16_t value) { store(value); }
    void u32(std::uint32_t value) { store(value); }
    void u64(std::uint64_t value) { store(value); }
    void octets(std::string_view value) { out_.append(value); }

    void short_string(std::string_view value) {
        if (value.size() > std::numeric_limits<std::uint8_t>::max()) return fail(wire_error::string_too_long);
        u8(static_cast<std::uint8_t>(value.size()));
        out_.append(value);
    }
    void long_string(std::string_view value) {
        if (value.size() > std::numeric_limits<std::uint32_t>::max()) return fail(wire_error::value_too_large);
        u32(static_cast<std::uint32_t>(value.size()));
        out_.append(value);
    }

    // A 32-bit length that is known only after what it counts: end_length() takes what begin_length() returned.
    std::size_t begin_length() {
        const std::size_t position = out_.size();
        u32(0);
        return position;
    }
    void end_length(std::size_t position) {
        const std::size_t length = out_.size() - position - sizeof(std::uint32_t);
        if (length > std::numeric_limits<std::uint32_t>::max()) return fail(wire_error::value_too_large);
        store_big_endian(out_.data() + position, static_cast<std::uint32_t>(length));
    }

    // One frame at a time (AMQP 0-9-1 §4.2.3). frame_max counts the whole frame; 0: no limit.
    void begin_frame(frame_type type, std::uint16_t channel) {
        frame_ = out_.size();
        u8(static_cast<std::uint8_t>(type));
        u16(channel);
        begin_length();
    }
    void end_frame(std::uint32_t frame_max) {
        end_length(frame_ + 3);
        u8(frame_end);
        if (frame_max != 0 && out_.size() - frame_ > frame_max) fail(wire_error::frame_too_large);
    }

    void fail(wire_error error) noexcept {
        if (!error_) error_ = error;
    }
    bool failed() const noexcept { return error_.has_value(); }

    std::expected<void, wire_error> finish() {
        if (!error_) return {};
        out_.resize(start_);
        return std::unexpected(*error_);
    }

private:
    template <std::unsigned_integral T>
    void store(T value) {
        char octets[sizeof(T)];
        store_big_endian(octets, value);
        out_.append(octets, sizeof(T));
    }

    std::string& out_;
    std::size_t start_;
    std::size_t frame_;
    std::optional<wire_error> error_;
};

}  // namespace foz::amqp
