#include "amqp/codec/frame_parser.hpp"

#include "amqp/codec/wire.hpp"

#include <algorithm>

namespace foz::amqp {
namespace {

constexpr std::size_t prefix_size = 7;  // type, channel, size

bool is_frame_type(std::uint8_t type) noexcept {
    switch (static_cast<frame_type>(type)) {
        case frame_type::method:
        case frame_type::header:
        case frame_type::body:
        case frame_type::heartbeat:
            return true;
        default:
            return false;
    }
}

frame_error framing(std::string text) {
    return {.code = reply_code::frame_error, .text = std::move(text)};
}

frame_error not_this_protocol(std::string text) {
    return {.code = reply_code::frame_error, .text = std::move(text), .wrong_protocol = true};
}

// 0-9-1 (§4.2.2), and what clients of 0-9 and 0-8 begin with, two of the latter: for all that they use RabbitMQ takes
// them for 0-9-1, and so do we.
bool is_spoken(std::string_view header) {
    using namespace std::string_view_literals;
    return header == protocol_header_octets || header == "AMQP\1\1\0\x09"sv || header == "AMQP\1\1\x08\0"sv ||
           header == "AMQP\1\1\x09\1"sv;
}

}  // namespace

frame_parser::frame_parser(role side, std::uint32_t frame_max)
    : role_(side), frame_max_(std::max(frame_max, frame_min_size)) {}

void frame_parser::set_frame_max(std::uint32_t octets) noexcept {
    frame_max_ = std::max(octets, frame_min_size);
}

std::unexpected<frame_error> frame_parser::fail(frame_error error) {
    error_ = error;
    buffer_ = {};
    delivered_ = false;
    return std::unexpected(std::move(error));
}

std::expected<std::optional<frame>, frame_error> frame_parser::next(std::string_view& input) {
    if (error_) return std::unexpected(*error_);
    if (delivered_) {
        buffer_.clear();
        delivered_ = false;
    }
    if (buffer_.empty()) {
        const auto needed = measure(input);
        if (!needed) return fail(needed.error());
        if (*needed <= input.size()) {
            const std::string_view octets = input.substr(0, *needed);
            input.remove_prefix(*needed);
            const auto whole = open(octets);
            if (!whole) return fail(whole.error());
            return *whole;
        }
    }
    for (;;) {
        const auto needed = measure(buffer_);
        if (!needed) return fail(needed.error());
        if (*needed <= buffer_.size()) break;
        if (input.empty()) return std::nullopt;
        buffer_.reserve(*needed);
        const std::size_t size = std::min(*needed - buffer_.size(), input.size());
        buffer_.append(input.substr(0, size));
        input.remove_prefix(size);
    }
    delivered_ = true;
    const auto whole = open(buffer_);
    if (!whole) return fail(whole.error());
    return *whole;
}

// How many octets the frame that begins with `prefix` takes, or, while that can't be said yet, how many are needed to
// say it. What is wrong is told as soon as it is seen, whatever the split.
std::expected<std::size_t, frame_error> frame_parser::measure(std::string_view prefix) const {
    if (at_start_) {
        const bool header = role_ == role::server || (!prefix.empty() && prefix.front() == 'A');
        if (header) return measure_protocol_header(prefix);
    }
    if (prefix.empty()) return prefix_size;
    const auto type = static_cast<std::uint8_t>(prefix.front());
    if (!is_frame_type(type)) {
        const std::string text = std::to_string(type) + " is not a frame type";
        return std::unexpected(at_start_ ? not_this_protocol(text + ": the server does not speak AMQP 0-9-1")
                                         : framing(text));
    }
    if (prefix.size() < prefix_size) return prefix_size;
    const auto size = load_big_endian<std::uint32_t>(prefix.data() + 3);
    if (size > frame_max_ - frame_overhead) {
        return std::unexpected(framing("a frame with " + std::to_string(size) +
                                       " octets of payload exceeds frame_max " + std::to_string(frame_max_)));
    }
    return std::size_t{size} + frame_overhead;
}

std::expected<std::size_t, frame_error> frame_parser::measure_protocol_header(std::string_view prefix) const {
    constexpr std::string_view name = "AMQP";
    if (!name.starts_with(prefix.substr(0, name.size()))) {
        return std::unexpected(not_this_protocol("the connection does not begin with an AMQP protocol header"));
    }
    return protocol_header_octets.size();
}

// `octets` is exactly one frame, or one protocol header, as measure() said.
std::expected<frame, frame_error> frame_parser::open(std::string_view octets) {
    const bool header = at_start_ && octets.front() == 'A';
    at_start_ = false;
    if (header) {
        if (role_ == role::server && is_spoken(octets)) return frame{frame_type::protocol_header, 0, octets};
        std::string version;
        for (const char octet : octets.substr(4)) {
            if (!version.empty()) version += '-';
            version += std::to_string(static_cast<std::uint8_t>(octet));
        }
        return std::unexpected(not_this_protocol("the peer speaks AMQP " + version + ", not 0-0-9-1"));
    }
    const frame whole{static_cast<frame_type>(octets.front()), load_big_endian<std::uint16_t>(octets.data() + 1),
                      octets.substr(prefix_size, octets.size() - frame_overhead)};
    if (static_cast<std::uint8_t>(octets.back()) != frame_end) {
        return std::unexpected(framing("the frame does not end with octet 206"));
    }
    if (whole.type == frame_type::heartbeat && (whole.channel != 0 || !whole.payload.empty())) {  // §4.2.7
        return std::unexpected(framing("a heartbeat has a channel or a payload"));
    }
    return whole;
}

}  // namespace foz::amqp
