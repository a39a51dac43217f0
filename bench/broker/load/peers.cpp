#include "peers.hpp"

#include <algorithm>

namespace foz::bench {
namespace {

constexpr std::size_t batch_octets = 128 << 10;
constexpr std::size_t id_octets = 4;

// The class and method of a method frame's payload.
std::uint32_t id_of(std::string_view payload) {
    return payload.size() < id_octets ? 0 : amqp::load_big_endian<std::uint32_t>(payload.data());
}

template <class Method>
constexpr std::uint32_t id = std::uint32_t{Method::class_id} << 16 | Method::method_id;

[[noreturn]] void unexpected(std::string_view payload) {
    const auto got = amqp::decode_method(payload);
    std::string why = "unexpected method";
    if (got) why = "unexpected " + std::string(amqp::info(*got).name);
    if (const auto* const closed = got ? std::get_if<amqp::channel_close>(&*got) : nullptr)
        why += ": " + closed->reply_text;
    if (const auto* const closed = got ? std::get_if<amqp::connection_close>(&*got) : nullptr)
        why += ": " + closed->reply_text;
    throw std::runtime_error(why);
}

}  // namespace

publisher::publisher(client connection, const std::string& message)
    : connection_(std::move(connection)), message_size_(message.size()) {
    const std::size_t copies = std::max<std::size_t>(1, batch_octets / message.size());
    batch_.reserve(copies * message.size());
    for (std::size_t i = 0; i < copies; ++i) batch_ += message;
}

std::uint64_t publisher::pump(std::uint64_t messages) {
    const std::uint64_t before = published();
    const std::size_t at = sent_ % batch_.size();
    const std::size_t begun = sent_ % message_size_;
    const std::uint64_t wanted = messages * message_size_ + (begun == 0 ? 0 : message_size_ - begun);
    const std::size_t size = std::min<std::uint64_t>(batch_.size() - at, wanted);
    if (size == 0) return 0;
    const ssize_t done = ::send(socket(), batch_.data() + at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN) throw std::runtime_error("the connection broke");
    writable = done == static_cast<ssize_t>(size);
    if (done > 0) sent_ += static_cast<std::uint64_t>(done);
    return published() - before;
}

void publisher::receive() {
    inbox_.receive(socket(), [this](std::string_view payload) {
        const std::uint32_t got = id_of(payload);
        if (got != id<amqp::basic_ack> && got != id<amqp::basic_nack>) unexpected(payload);
        const auto tag = amqp::load_big_endian<std::uint64_t>(payload.data() + id_octets);
        const bool multiple = (payload[id_octets + sizeof(tag)] & 1) != 0;
        settle(tag, multiple, got == id<amqp::basic_ack>);
    });
}

void publisher::settle(std::uint64_t tag, bool multiple, bool ack) {
    if (tag < settled_below_) return;
    if (tag - settled_below_ >= seen_.size()) throw std::runtime_error("a confirm for what was never published");
    for (std::uint64_t one = multiple ? settled_below_ : tag; one <= tag; ++one) {
        if (seen_[one % seen_.size()]) continue;
        seen_[one % seen_.size()] = true;
        ++settled_;
        if (!ack) ++refused_;
    }
    for (; seen_[settled_below_ % seen_.size()]; ++settled_below_) seen_[settled_below_ % seen_.size()] = false;
}

void consumer::receive() {
    inbox_.receive(socket(), [this](std::string_view payload) {
        if (id_of(payload) != id<amqp::basic_deliver>) unexpected(payload);
        ++delivered_;
        if (ack_every_ != 0 && delivered_ - acknowledged_ >= ack_every_) acknowledge();
    });
}

void consumer::finish() {
    if (ack_every_ != 0 && delivered_ > acknowledged_) acknowledge();
}

void consumer::acknowledge() {
    acknowledged_ = delivered_;
    amqp::basic_ack ack;
    ack.delivery_tag = delivered_;
    ack.multiple = true;
    std::string octets;
    (void)amqp::encode_method(octets, client::channel, ack);
    connection_.send(octets);
}

}  // namespace foz::bench
