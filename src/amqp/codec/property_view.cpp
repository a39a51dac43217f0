#include "amqp/codec/property_view.hpp"

#include "amqp/codec/wire.hpp"

namespace foz::amqp {
namespace {

// Property flags (AMQP 0-9-1 §4.2.6.1), class basic's.
enum flag : std::uint16_t {
    content_type = 0x8000,
    content_encoding = 0x4000,
    headers = 0x2000,
    delivery_mode = 0x1000,
    priority = 0x800,
    correlation_id = 0x400,
    reply_to = 0x200,
    expiration = 0x100,
    message_id = 0x80,
    timestamp_ = 0x40,  // there is a type of that name
    type = 0x20,
    user_id = 0x10,
    app_id = 0x8,
    cluster_id = 0x4,
    unknown = 0x3,
};

// One value of a table or array with its type. `depth` counts the tables and arrays around it.
void skip_value(reader& in, unsigned depth);

enum class named : bool { no, yes };

void skip_values(reader& in, named keys, unsigned depth) {
    reader inner(in.take(in.u32()));
    if (depth >= table_depth_max) return in.fail(wire_error::too_deep);
    while (!inner.failed() && !inner.at_end()) {
        if (keys == named::yes) inner.skip_short_string();
        skip_value(inner, depth + 1);
    }
    if (inner.failed()) in.fail(*inner.error());
}

void skip_value(reader& in, unsigned depth) {
    switch (static_cast<char>(in.u8())) {
        case 'V':
            return;
        case 't':
        case 'b':
        case 'B':
            in.take(1);
            return;
        case 's':
        case 'u':
            in.take(2);
            return;
        case 'I':
        case 'i':
        case 'f':
            in.take(4);
            return;
        case 'D':
            in.take(5);
            return;
        case 'l':
        case 'L':
        case 'd':
        case 'T':
            in.take(8);
            return;
        case 'S':
        case 'x':
            in.skip_long_string();
            return;
        case 'A':
            return skip_values(in, named::no, depth);
        case 'F':
            return skip_values(in, named::yes, depth);
        default:
            if (!in.failed()) in.fail(wire_error::unknown_field_type);
    }
}

// The table's entries, checked.
std::string_view scan_table(reader& in) {
    const std::uint32_t size = in.u32();
    const std::string_view entries = in.take(size);
    reader inner(entries);
    while (!inner.failed() && !inner.at_end()) {
        inner.skip_short_string();
        skip_value(inner, 1);
    }
    if (inner.failed()) in.fail(*inner.error());
    return entries;
}

std::string_view short_string(reader& in) {
    return in.take(in.u8());
}

}  // namespace

std::expected<property_view, wire_error> scan_properties(std::string_view octets) {
    property_view out;
    reader in(octets);
    const std::uint16_t flags = in.u16();
    if ((flags & unknown) != 0) in.fail(wire_error::bad_property_flags);
    if ((flags & content_type) != 0) in.skip_short_string();
    if ((flags & content_encoding) != 0) in.skip_short_string();
    if ((flags & headers) != 0) out.headers = scan_table(in);
    if ((flags & delivery_mode) != 0) out.delivery_mode = in.u8();
    if ((flags & priority) != 0) out.priority = in.u8();
    if ((flags & correlation_id) != 0) in.skip_short_string();
    if ((flags & reply_to) != 0) out.reply_to = short_string(in);
    if ((flags & expiration) != 0) out.expiration = short_string(in);
    if ((flags & message_id) != 0) in.skip_short_string();
    if ((flags & timestamp_) != 0) in.take(sizeof(std::uint64_t));
    if ((flags & type) != 0) in.skip_short_string();
    if ((flags & user_id) != 0) out.user_id = short_string(in);
    if ((flags & app_id) != 0) in.skip_short_string();
    if ((flags & cluster_id) != 0) in.skip_short_string();
    const auto done = in.finish();
    if (!done) return std::unexpected(done.error());
    return out;
}

bool has_key(std::string_view entries, std::string_view key) {
    reader in(entries);
    while (!in.failed() && !in.at_end()) {
        if (short_string(in) == key) return true;
        skip_value(in, 1);
    }
    return false;
}

std::string with_header(std::string_view octets, std::string_view key, std::int64_t value) {
    reader in(octets);
    const std::uint16_t flags = in.u16();
    std::size_t before = sizeof(flags);  // octets in front of the headers
    for (const std::uint16_t text : {content_type, content_encoding}) {
        if ((flags & text) == 0) continue;
        before += 1 + short_string(in).size();
    }
    const bool had = (flags & headers) != 0;
    const std::uint32_t entries = had ? in.u32() : 0;
    std::string out;
    out.reserve(octets.size() + key.size() + 16);
    writer to(out);
    to.u16(flags | headers);
    to.octets(octets.substr(sizeof(flags), before - sizeof(flags)));
    to.u32(entries + static_cast<std::uint32_t>(key.size()) + 10);
    to.short_string(key);
    to.u8('l');
    to.u64(static_cast<std::uint64_t>(value));
    to.octets(octets.substr(before + (had ? sizeof(entries) : 0)));
    return out;
}

basic_properties decode_properties(std::string_view octets) {
    basic_properties out;
    reader in(octets);
    read_properties(in, out);
    return out;
}

std::expected<std::string, wire_error> encode_properties(const basic_properties& properties) {
    std::string out;
    writer to(out);
    write_properties(to, properties);
    const auto done = to.finish();
    if (!done) return std::unexpected(done.error());
    return out;
}

}  // namespace foz::amqp
