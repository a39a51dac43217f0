#include "amqp/codec/field_table.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

namespace foz::amqp {

table::table(std::initializer_list<table_entry> entries) : entries_(entries) {}
table::table(const table&) = default;
table& table::operator=(const table&) = default;

bool operator==(const table& a, const table& b) {
    return a.entries_ == b.entries_;
}
bool operator==(const field_value& a, const field_value& b) {
    return a.value_ == b.value_;
}

const field_value* table::find(std::string_view key) const noexcept {
    const auto entry = std::ranges::find(entries_, key, &table_entry::key);
    return entry == entries_.end() ? nullptr : &entry->value;
}

field_value* table::find(std::string_view key) noexcept {
    return const_cast<field_value*>(std::as_const(*this).find(key));
}

void table::set(std::string_view key, field_value value) {
    if (field_value* known = find(key)) {
        *known = std::move(value);
    } else {
        append(std::string(key), std::move(value));
    }
}

void table::append(std::string key, field_value value) {
    entries_.push_back({std::move(key), std::move(value)});
}

bool table::erase(std::string_view key) {
    return std::erase_if(entries_, [key](const table_entry& entry) { return entry.key == key; }) != 0;
}

std::optional<std::int64_t> as_int64(const field_value* value) noexcept {
    if (!value) return std::nullopt;
    return std::visit(
        []<class T>(const T& held) -> std::optional<std::int64_t> {
            if constexpr (field_integer<T>)
                return static_cast<std::int64_t>(held);
            else
                return std::nullopt;
        },
        value->get());
}

std::optional<double> as_double(const field_value* value) noexcept {
    if (!value) return std::nullopt;
    if (const auto number = as_int64(value)) return static_cast<double>(*number);
    if (const auto* number = std::get_if<float>(&value->get())) return static_cast<double>(*number);
    if (const auto* number = std::get_if<double>(&value->get())) return *number;
    return std::nullopt;
}

std::optional<bool> as_bool(const field_value* value) noexcept {
    const bool* flag = value ? std::get_if<bool>(&value->get()) : nullptr;
    return flag ? std::optional(*flag) : std::nullopt;
}

std::optional<std::string_view> as_string(const field_value* value) noexcept {
    if (!value) return std::nullopt;
    if (const auto* text = std::get_if<std::string>(&value->get())) return std::string_view(*text);
    if (const auto* octets = std::get_if<byte_array>(&value->get())) return std::string_view(octets->octets);
    return std::nullopt;
}

std::optional<std::uint64_t> as_timestamp(const field_value* value) noexcept {
    if (!value) return std::nullopt;
    if (const auto* time = std::get_if<timestamp>(&value->get())) return time->seconds;
    const auto number = as_int64(value);
    if (!number || *number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

const table* as_table(const field_value* value) noexcept {
    return value ? std::get_if<table>(&value->get()) : nullptr;
}

const field_array* as_array(const field_value* value) noexcept {
    return value ? std::get_if<field_array>(&value->get()) : nullptr;
}

namespace {

void read_entries(reader& in, table& out, unsigned depth);

// `depth` counts the tables and arrays around this value.
field_value read_value(reader& in, unsigned depth) {
    const auto nested = [&]<class Read>(Read read) -> field_value {
        reader inner(in.take(in.u32()));
        if (in.failed()) return {};
        if (depth >= table_depth_max) {
            in.fail(wire_error::too_deep);
            return {};
        }
        field_value value = read(inner);
        if (inner.failed()) in.fail(*inner.error());
        return value;
    };
    switch (static_cast<char>(in.u8())) {
        case 'V':
            return {};
        case 't':
            return in.u8() != 0;
        case 'b':
            return static_cast<std::int8_t>(in.u8());
        case 'B':
            return in.u8();
        case 's':
            return static_cast<std::int16_t>(in.u16());
        case 'u':
            return in.u16();
        case 'I':
            return static_cast<std::int32_t>(in.u32());
        case 'i':
            return in.u32();
        case 'l':
        case 'L':  // the specification's own letter for the same type; a few clients send it
            return static_cast<std::int64_t>(in.u64());
        case 'f':
            return std::bit_cast<float>(in.u32());
        case 'd':
            return std::bit_cast<double>(in.u64());
        case 'D': {
            const std::uint8_t scale = in.u8();
            return decimal{scale, static_cast<std::int32_t>(in.u32())};
        }
        case 'S':
            return std::string(in.take(in.u32()));
        case 'x':
            return byte_array{std::string(in.take(in.u32()))};
        case 'T':
            return timestamp{in.u64()};
        case 'A':
            return nested([&](reader& inner) {
                field_array values;
                while (!inner.at_end()) values.push_back(read_value(inner, depth + 1));
                return values;
            });
        case 'F':
            return nested([&](reader& inner) {
                table values;
                read_entries(inner, values, depth + 1);
                return values;
            });
        default:
            in.fail(wire_error::unknown_field_type);
            return {};
    }
}

void read_entries(reader& in, table& out, unsigned depth) {
    while (!in.at_end()) {
        std::string key;
        in.short_string(key);
        field_value value = read_value(in, depth);
        if (in.failed()) return;
        out.append(std::move(key), std::move(value));
    }
}

void write_entries(writer& out, const table& in, unsigned depth);

void write_value(writer& out, const field_value& value, unsigned depth);

void write_array(writer& out, const field_array& in, unsigned depth) {
    if (depth > table_depth_max) return out.fail(wire_error::too_deep);
    const std::size_t length = out.begin_length();
    for (const field_value& value : in) write_value(out, value, depth);
    out.end_length(length);
}

template <class T>
void write_number(writer& out, char type, T value) {
    out.u8(static_cast<std::uint8_t>(type));
    if constexpr (sizeof(T) == 1)
        out.u8(static_cast<std::uint8_t>(value));
    else if constexpr (sizeof(T) == 2)
        out.u16(static_cast<std::uint16_t>(value));
    else if constexpr (sizeof(T) == 4)
        out.u32(std::bit_cast<std::uint32_t>(value));
    else
        out.u64(std::bit_cast<std::uint64_t>(value));
}

// One overload for each alternative of field_value::variant.
struct value_writer {
    writer& out;
    unsigned depth;

    void operator()(std::monostate) const { out.u8('V'); }
    void operator()(bool value) const { write_number(out, 't', value); }
    void operator()(std::int8_t value) const { write_number(out, 'b', value); }
    void operator()(std::uint8_t value) const { write_number(out, 'B', value); }
    void operator()(std::int16_t value) const { write_number(out, 's', value); }
    void operator()(std::uint16_t value) const { write_number(out, 'u', value); }
    void operator()(std::int32_t value) const { write_number(out, 'I', value); }
    void operator()(std::uint32_t value) const { write_number(out, 'i', value); }
    void operator()(std::int64_t value) const { write_number(out, 'l', value); }
    void operator()(float value) const { write_number(out, 'f', value); }
    void operator()(double value) const { write_number(out, 'd', value); }
    void operator()(decimal value) const {
        write_number(out, 'D', value.scale);
        out.u32(static_cast<std::uint32_t>(value.value));
    }
    void operator()(timestamp value) const { write_number(out, 'T', value.seconds); }
    void operator()(const std::string& value) const {
        out.u8('S');
        out.long_string(value);
    }
    void operator()(const byte_array& value) const {
        out.u8('x');
        out.long_string(value.octets);
    }
    void operator()(const field_array& value) const {
        out.u8('A');
        write_array(out, value, depth + 1);
    }
    void operator()(const table& value) const {
        out.u8('F');
        write_entries(out, value, depth + 1);
    }
};

void write_value(writer& out, const field_value& value, unsigned depth) {
    std::visit(value_writer{out, depth}, value.get());
}

void write_entries(writer& out, const table& in, unsigned depth) {
    if (depth > table_depth_max) return out.fail(wire_error::too_deep);
    const std::size_t length = out.begin_length();
    for (const table_entry& entry : in) {
        out.short_string(entry.key);
        write_value(out, entry.value, depth);
    }
    out.end_length(length);
}

}  // namespace

void read_table(reader& in, table& out) {
    out.clear();
    reader inner(in.take(in.u32()));
    read_entries(inner, out, 1);
    if (inner.failed()) in.fail(*inner.error());
}

void write_table(writer& out, const table& in) {
    write_entries(out, in, 1);
}

}  // namespace foz::amqp
