#include "amqp/codec/content.hpp"

#include <algorithm>
#include <utility>

namespace foz::amqp {
namespace {

// A body of many frames reserves this much at once: what a peer announces costs nothing until it arrives.
constexpr std::uint64_t reserve_max = 1 << 20;
// What a channel keeps of a finished body's buffer for the next one.
constexpr std::size_t keep_max = 256 << 10;

// Class, weight and body size.
void read_header_start(reader& in, std::uint64_t& body_size) {
    const std::uint16_t class_id = in.u16();
    const std::uint16_t weight = in.u16();
    body_size = in.u64();
    if (!in.failed() && (weight != 0 || class_id != basic_publish::class_id)) in.fail(wire_error::bad_content_header);
}

std::expected<void, wire_error> decode_header(std::string_view payload, std::uint64_t& body_size,
                                              basic_properties& properties) {
    reader in(payload);
    read_header_start(in, body_size);
    read_properties(in, properties);
    return in.finish();
}

std::expected<void, wire_error> scan_header(std::string_view payload, std::uint64_t& body_size, message& out) {
    constexpr std::size_t start = 12;
    reader in(payload);
    read_header_start(in, body_size);
    if (in.failed()) return std::unexpected(*in.error());
    out.encoded_properties.assign(payload.substr(start));
    const auto scanned = scan_properties(out.encoded_properties);
    if (!scanned) return std::unexpected(scanned.error());
    out.scanned = *scanned;
    return {};
}

frame_error unexpected_frame(std::string text) {
    return {.code = reply_code::unexpected_frame, .text = std::move(text)};
}

frame_error undecodable(std::string_view payload, wire_error error) {
    reader ids(payload);
    const std::uint16_t class_id = ids.u16();
    const std::uint16_t method_id = ids.u16();
    const method_info* known = find_method(class_id, method_id);
    std::string text = known ? std::string(known->name)
                             : "class " + std::to_string(class_id) + ", method " + std::to_string(method_id);
    text.append(": ").append(to_string(error));
    return {.code = reply_code_of(error), .text = std::move(text), .class_id = class_id, .method_id = method_id};
}

}  // namespace

std::expected<void, wire_error> decode_content_header(std::string_view payload, content_header& out) {
    out.class_id = basic_publish::class_id;
    return decode_header(payload, out.body_size, out.properties);
}

std::string message::take_body() {
    std::string taken = body.data() == storage.data() ? std::move(storage) : std::string(body);
    storage.clear();
    body = {};
    return taken;
}

void content_assembler::drop_body() noexcept {
    if (message_.storage.capacity() > keep_max) message_.storage = {};
    message_.storage.clear();
    message_.body = {};
}

// An error inside the content of message_.method.
std::unexpected<frame_error> content_assembler::fail(reply_code code, std::string_view text) {
    const method_info& cause = info(message_.method);
    state_ = state::idle;
    check_.reset();
    drop_body();
    return std::unexpected(frame_error{.code = code,
                                       .text = std::string(cause.name).append(": ").append(text),
                                       .class_id = cause.class_id,
                                       .method_id = cause.method_id});
}

std::expected<message*, frame_error> content_assembler::feed(const frame& f) {
    switch (f.type) {
        case frame_type::method:
            return on_method(f.payload);
        case frame_type::header:
            return on_header(f.payload);
        case frame_type::body:
            return on_body(f.payload);
        default:
            return std::unexpected(unexpected_frame("a heartbeat or protocol header does not belong to a channel"));
    }
}

std::expected<message*, frame_error> content_assembler::on_method(std::string_view payload) {
    if (state_ != state::idle) return fail(reply_code::unexpected_frame, "a method came where its content was due");
    drop_body();
    message_.skipped.reset();
    if (has_properties_) {
        message_.properties = {};
        has_properties_ = false;
    }
    if (const auto decoded = decode_method(payload, message_.method); !decoded) {
        return std::unexpected(undecodable(payload, decoded.error()));
    }
    if (!info(message_.method).has_content) return &message_;
    state_ = state::header_due;
    return nullptr;
}

std::expected<message*, frame_error> content_assembler::on_header(std::string_view payload) {
    if (state_ == state::idle) return std::unexpected(unexpected_frame("a content header came without a method"));
    if (state_ != state::header_due) return fail(reply_code::unexpected_frame, "a second content header came");
    has_properties_ = true;
    const auto decoded = form_ == properties_as::decoded ? decode_header(payload, body_size_, message_.properties)
                                                         : scan_header(payload, body_size_, message_);
    if (!decoded) return fail(reply_code_of(decoded.error()), to_string(decoded.error()));
    if (body_size_ > body_limit_ && larger_ == over_limit::skip) {
        skipped_ = 0;
        check_.emplace(message_.properties.message_id.value_or(""));
        state_ = state::skipping;
        return nullptr;
    }
    if (body_size_ > body_limit_) {
        const method_info& cause = info(message_.method);
        state_ = state::idle;
        drop_body();
        return std::unexpected(frame_error{.code = reply_code::precondition_failed,
                                           .text = "message size " + std::to_string(body_size_) +
                                                   " is larger than configured max size " + std::to_string(body_limit_),
                                           .class_id = cause.class_id,
                                           .method_id = cause.method_id});
    }
    state_ = body_size_ == 0 ? state::idle : state::body_due;
    return body_size_ == 0 ? &message_ : nullptr;
}

std::expected<message*, frame_error> content_assembler::on_body(std::string_view payload) {
    if (state_ == state::idle) return std::unexpected(unexpected_frame("a body came without a method"));
    if (state_ == state::header_due) return fail(reply_code::unexpected_frame, "a body came before its header");
    std::string& storage = message_.storage;
    if (payload.size() > body_size_ - (state_ == state::skipping ? skipped_ : storage.size())) {
        return fail(reply_code::frame_error, "the body is larger than its header announced");
    }
    if (state_ == state::skipping) return skip(payload);
    if (payload.size() == body_size_) {
        message_.body = payload;
        state_ = state::idle;
        return &message_;
    }
    if (storage.empty()) storage.reserve(static_cast<std::size_t>(std::min(body_size_, reserve_max)));
    storage.append(payload);
    if (storage.size() < body_size_) return nullptr;
    message_.body = storage;
    state_ = state::idle;
    return &message_;
}

message* content_assembler::skip(std::string_view payload) {
    check_->update(payload);
    skipped_ += payload.size();
    if (skipped_ < body_size_) return nullptr;
    message_.skipped = {.size = body_size_, .check = check_->value()};
    check_.reset();
    state_ = state::idle;
    return &message_;
}

}  // namespace foz::amqp
