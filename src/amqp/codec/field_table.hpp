// Field tables in RabbitMQ's dialect (AMQP 0-9-1 §4.2.5.5 with RabbitMQ's errata: 's' is a 16-bit integer, not a short
// string; 'l' is a signed 64-bit integer; 'x' is a byte array; there is no unsigned 64-bit type).
#pragma once

#include "amqp/codec/wire.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace foz::amqp {

class field_value;
struct table_entry;
using field_array = std::vector<field_value>;

// Tables and arrays within each other, counted from the outermost table. Deeper ones are refused both ways.
inline constexpr unsigned table_depth_max = 64;

// 'D': value / 10^scale.
struct decimal {
    std::uint8_t scale = 0;
    std::int32_t value = 0;
    bool operator==(const decimal&) const = default;
};

// 'T': seconds since 1970.
struct timestamp {
    std::uint64_t seconds = 0;
    bool operator==(const timestamp&) const = default;
};

// 'x'.
struct byte_array {
    std::string octets;
    bool operator==(const byte_array&) const = default;
};

// An ordered list of names and values. Names that occur twice on the wire are kept; find() returns the first.
// Lookup is linear: tables are short. A decoded entry takes up to 45 times its octets on the wire; frame_max bounds
// both.
//
//     table{{"x-queue-type", "quorum"}, {"x-delivery-limit", 20}}
class table {
public:
    table() noexcept;
    table(std::initializer_list<table_entry> entries);
    table(const table&);
    table(table&&) noexcept;
    table& operator=(const table&);
    table& operator=(table&&) noexcept;
    ~table();

    const field_value* find(std::string_view key) const noexcept;
    field_value* find(std::string_view key) noexcept;
    // Replaces the value of the first entry of that name, or appends.
    void set(std::string_view key, field_value value);
    // Appends without looking.
    void append(std::string key, field_value value);
    // Removes all entries of that name; true when there was one.
    bool erase(std::string_view key);

    bool empty() const noexcept;
    std::size_t size() const noexcept;
    void clear() noexcept;
    const table_entry* begin() const noexcept;
    const table_entry* end() const noexcept;

    friend bool operator==(const table& a, const table& b);

private:
    std::vector<table_entry> entries_;
};

// Integers of every width except unsigned 64 bit, which the wire can't carry.
template <class T>
concept field_integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                        !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                        !std::same_as<T, char32_t> && (std::signed_integral<T> || sizeof(T) < sizeof(std::uint64_t));

class field_value {
public:
    // In the order: V t b B s u I i l f d D S x T A F.
    using variant = std::variant<std::monostate, bool, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                                 std::int32_t, std::uint32_t, std::int64_t, float, double, decimal, std::string,
                                 byte_array, timestamp, field_array, table>;

    field_value() noexcept = default;
    template <field_integer T>
    field_value(T number) noexcept : value_(sized<T>(number)) {}
    field_value(std::same_as<bool> auto flag) noexcept : value_(flag) {}
    field_value(float number) noexcept : value_(number) {}
    field_value(double number) noexcept : value_(number) {}
    field_value(decimal number) noexcept : value_(number) {}
    field_value(timestamp time) noexcept : value_(time) {}
    field_value(const char* text) : value_(std::in_place_type<std::string>, text) {}
    field_value(std::string_view text) : value_(std::in_place_type<std::string>, text) {}
    field_value(std::string text) noexcept : value_(std::move(text)) {}
    field_value(byte_array octets) noexcept : value_(std::move(octets)) {}
    field_value(field_array values) noexcept : value_(std::move(values)) {}
    field_value(table values) noexcept : value_(std::move(values)) {}

    const variant& get() const noexcept { return value_; }
    variant& get() noexcept { return value_; }
    bool is_void() const noexcept { return value_.index() == 0; }

    friend bool operator==(const field_value& a, const field_value& b);

private:
    // long and long long are one width with two names; the variant knows widths.
    template <class T>
    static auto sized(T number) noexcept {
        if constexpr (sizeof(T) == 8)
            return static_cast<std::int64_t>(number);
        else if constexpr (sizeof(T) == 4 && std::signed_integral<T>)
            return static_cast<std::int32_t>(number);
        else if constexpr (sizeof(T) == 4)
            return static_cast<std::uint32_t>(number);
        else
            return number;
    }

    variant value_;
};

struct table_entry {
    std::string key;
    field_value value{};
    bool operator==(const table_entry&) const = default;
};

inline table::table() noexcept = default;
inline table::table(table&&) noexcept = default;
inline table& table::operator=(table&&) noexcept = default;
inline table::~table() = default;
inline bool table::empty() const noexcept {
    return entries_.empty();
}
inline std::size_t table::size() const noexcept {
    return entries_.size();
}
inline void table::clear() noexcept {
    entries_.clear();
}
inline const table_entry* table::begin() const noexcept {
    return entries_.data();
}
inline const table_entry* table::end() const noexcept {
    return entries_.data() + entries_.size();
}

// Typed access that takes what is meant: peers choose integer widths as they like. Nothing for other types; a null
// pointer (an absent key) is allowed: as_int64(t.find("x-delivery-limit")).
std::optional<std::int64_t> as_int64(const field_value* value) noexcept;
// Any integer, float or double.
std::optional<double> as_double(const field_value* value) noexcept;
std::optional<bool> as_bool(const field_value* value) noexcept;
// A long string or byte array; the view lives as long as the value.
std::optional<std::string_view> as_string(const field_value* value) noexcept;
// Seconds since 1970: a timestamp or a non-negative integer.
std::optional<std::uint64_t> as_timestamp(const field_value* value) noexcept;
const table* as_table(const field_value* value) noexcept;
const field_array* as_array(const field_value* value) noexcept;

inline std::optional<std::int64_t> as_int64(const field_value& value) noexcept {
    return as_int64(&value);
}
inline std::optional<double> as_double(const field_value& value) noexcept {
    return as_double(&value);
}
inline std::optional<bool> as_bool(const field_value& value) noexcept {
    return as_bool(&value);
}
inline std::optional<std::string_view> as_string(const field_value& value) noexcept {
    return as_string(&value);
}
inline std::optional<std::uint64_t> as_timestamp(const field_value& value) noexcept {
    return as_timestamp(&value);
}
inline const table* as_table(const field_value& value) noexcept {
    return as_table(&value);
}
inline const field_array* as_array(const field_value& value) noexcept {
    return as_array(&value);
}

// A table with its length, as in methods and properties; the reader's and writer's error states tell of failure.
// `out` is replaced.
void read_table(reader& in, table& out);
void write_table(writer& out, const table& in);

}  // namespace foz::amqp
