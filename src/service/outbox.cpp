#include "service/outbox.hpp"

#include "amqp/codec/field_table.hpp"
#include "amqp/codec/wire.hpp"

#include <stdexcept>
#include <utility>

namespace foz::service {
namespace {

// 2: the reply is among what was said, without its address. 1 had the address of who asked first, or no reply.
constexpr std::uint8_t version = 2;

constexpr std::uint32_t no_reply = 0xffff'ffff;  // where the number of the reply stands

// The first octet of a message says which of its fields follow.
enum : std::uint8_t { has_type = 1, has_message_id = 2, has_correlation_id = 4, has_headers = 8, is_mandatory = 16 };

void write(amqp::writer& to, const amqp::publication& p) {
    const amqp::basic_properties& about = p.properties;
    to.u8(static_cast<std::uint8_t>((about.type ? has_type : 0) | (about.message_id ? has_message_id : 0) |
                                    (about.correlation_id ? has_correlation_id : 0) |
                                    (about.headers ? has_headers : 0) | (p.mandatory ? is_mandatory : 0)));
    to.long_string(p.exchange);
    to.long_string(p.routing_key);
    to.u64(about.timestamp.value_or(0));
    if (about.type) to.long_string(*about.type);
    if (about.message_id) to.long_string(*about.message_id);
    if (about.correlation_id) to.long_string(*about.correlation_id);
    if (about.headers) amqp::write_table(to, *about.headers);
    to.long_string(p.body);
}

amqp::publication read(amqp::reader& from) {
    amqp::publication p = make_publication();
    amqp::basic_properties& about = p.properties;
    const std::uint8_t fields = from.u8();
    from.long_string(p.exchange);
    from.long_string(p.routing_key);
    about.timestamp = from.u64();
    if (fields & has_type) from.long_string(about.type.emplace());
    if (fields & has_message_id) from.long_string(about.message_id.emplace());
    if (fields & has_correlation_id) from.long_string(about.correlation_id.emplace());
    if (fields & has_headers) amqp::read_table(from, about.headers.emplace());
    from.long_string(p.body);
    p.mandatory = (fields & is_mandatory) != 0;
    return p;
}

}  // namespace

amqp::publication make_publication() {
    constexpr std::uint8_t persistent = 2;  // AMQP 0-9-1 §1.8, delivery-mode
    amqp::publication p;
    p.properties.content_type = "application/json";
    p.properties.delivery_mode = persistent;
    return p;
}

void outbox::keep_reply_alone() {
    if (!reply) return said.clear();
    if (*reply > 0) std::swap(said.front(), said[*reply]);
    said.erase(said.begin() + 1, said.end());
    reply = 0;
}

std::string encode(const outbox& box) {
    std::string octets;
    amqp::writer to(octets);
    to.u8(version);
    to.u32(box.reply ? static_cast<std::uint32_t>(*box.reply) : no_reply);
    to.u32(static_cast<std::uint32_t>(box.said.size()));
    for (const amqp::publication& one : box.said) write(to, one);
    if (!to.finish()) throw std::length_error("what the handler said is too large");
    return octets;
}

std::optional<outbox> decode_outbox(std::string_view octets) {
    amqp::reader from(octets);
    if (from.u8() != version) return std::nullopt;
    outbox box;
    const std::uint32_t reply = from.u32();
    const std::uint32_t count = from.u32();
    for (std::uint32_t i = 0; i < count && !from.failed(); ++i) box.said.push_back(read(from));
    if (!from.finish() || (reply != no_reply && reply >= count)) return std::nullopt;
    if (reply != no_reply) box.reply = reply;
    return box;
}

}  // namespace foz::service
