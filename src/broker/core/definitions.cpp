#include "broker/core/definitions.hpp"

#include "amqp/codec/wire.hpp"
#include "base/digest.hpp"

namespace foz::broker {
namespace {

// The first octet of a key.
constexpr char queue_kind_octet = 'q';
constexpr char exchange_kind_octet = 'x';
constexpr char binding_kind_octet = 'z';  // behind all that a binding needs: definitions are read in order

// Storage engines bound their keys. A longer one is replaced by its digest and stands in front of the value.
constexpr std::size_t key_max = 400;
constexpr char digest_octet = '#';

definition fit(definition made) {
    if (made.key.size() <= key_max) return made;
    definition out{.key = digest_octet + sha256(made.key), .value = {}};
    amqp::writer value(out.value);
    value.long_string(made.key);
    value.octets(made.value);
    return out;
}

enum flag : std::uint8_t { durable = 1, exclusive = 2, auto_delete = 4, internal = 8 };

std::string text(amqp::reader& in) {
    std::string out;
    in.short_string(out);
    return out;
}

}  // namespace

definition encode(const queue_record& record) {
    definition out;
    amqp::writer key(out.key);
    key.u8(queue_kind_octet);
    key.short_string(record.vhost);
    key.short_string(record.name);
    amqp::writer value(out.value);
    value.u64(record.number);
    value.u8(static_cast<std::uint8_t>((record.flags.durable ? durable : 0) | (record.flags.exclusive ? exclusive : 0) |
                                       (record.flags.auto_delete ? auto_delete : 0)));
    write_table(value, record.arguments);
    return fit(std::move(out));
}

definition encode(const exchange_record& record) {
    definition out;
    const exchange_identity& is = record.identity;
    amqp::writer key(out.key);
    key.u8(exchange_kind_octet);
    key.short_string(record.vhost);
    key.short_string(is.name);
    amqp::writer value(out.value);
    value.u8(static_cast<std::uint8_t>(is.kind));
    value.u8(static_cast<std::uint8_t>((is.durable ? durable : 0) | (is.auto_delete ? auto_delete : 0) |
                                       (is.internal ? internal : 0)));
    write_table(value, is.arguments);
    return fit(std::move(out));
}

definition encode(const binding_record& record) {
    definition out;
    amqp::writer key(out.key);
    key.u8(binding_kind_octet);
    key.short_string(record.vhost);
    key.short_string(record.exchange);
    key.u8(record.to_exchange ? 1 : 0);
    key.short_string(record.destination);
    key.short_string(record.routing_key);
    write_table(key, record.arguments);
    return fit(std::move(out));
}

std::optional<any_record> decode_definition(std::string_view key, std::string_view value) {
    amqp::reader v(value);
    if (key.starts_with(digest_octet)) key = v.take(v.u32());
    amqp::reader k(key);
    const char kind = static_cast<char>(k.u8());
    std::optional<any_record> out;
    if (kind == queue_kind_octet) {
        queue_record made;
        made.vhost = text(k);
        made.name = text(k);
        made.number = v.u64();
        const std::uint8_t flags = v.u8();
        made.flags = {.durable = (flags & durable) != 0,
                      .exclusive = (flags & exclusive) != 0,
                      .auto_delete = (flags & auto_delete) != 0};
        read_table(v, made.arguments);
        out = std::move(made);
    } else if (kind == exchange_kind_octet) {
        exchange_record made;
        made.vhost = text(k);
        made.identity.name = text(k);
        made.identity.kind = static_cast<exchange_kind>(v.u8());
        if (made.identity.kind > exchange_kind::headers) return std::nullopt;
        const std::uint8_t flags = v.u8();
        made.identity.durable = (flags & durable) != 0;
        made.identity.auto_delete = (flags & auto_delete) != 0;
        made.identity.internal = (flags & internal) != 0;
        read_table(v, made.identity.arguments);
        out = std::move(made);
    } else if (kind == binding_kind_octet) {
        binding_record made;
        made.vhost = text(k);
        made.exchange = text(k);
        made.to_exchange = k.u8() != 0;
        made.destination = text(k);
        made.routing_key = text(k);
        read_table(k, made.arguments);
        out = std::move(made);
    }
    if (!k.finish() || !v.finish()) return std::nullopt;
    return out;
}

}  // namespace foz::broker
