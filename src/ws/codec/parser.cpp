#include "ws/codec/parser.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace foz::ws {
namespace {

constexpr std::size_t control_payload_max = 125;  // RFC 6455 §5.5

std::uint8_t octet(char c) {
    return static_cast<std::uint8_t>(c);
}

std::uint64_t big_endian(const char* from, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | octet(from[i]);
    return value;
}

parser_failure protocol_error(std::string_view text) {
    return {close_code::protocol_error, text};
}

}  // namespace

struct parser::unfinished {
    explicit unfinished(parser& of) noexcept : limits_(of.limits_), role_(of.role_), stopped_(of.stopped_) {}

    void take(std::span<char>& octets, parser_handler& handler, const bool& paused);
    const std::optional<parser_failure>& failure() const noexcept { return failure_; }
    // Between two messages.
    bool at_rest() const noexcept { return !failure_ && !under_way(); }
    bool under_way() const noexcept { return in_payload_ || header_used_ > 0 || message_kind_ != opcode::continuation; }
    std::size_t octets() const noexcept { return message_.size() + control_.size() + header_used_; }

private:
    std::optional<parser_failure> take_header(std::span<char>& octets);
    std::optional<parser_failure> begin_frame();
    std::optional<parser_failure> take_payload(std::span<char>& octets, parser_handler& handler);
    std::optional<parser_failure> end_frame(std::string_view payload, parser_handler& handler);
    std::optional<parser_failure> end_close(std::string_view payload, parser_handler& handler);
    void unmask(std::span<char> octets) noexcept;
    std::size_t header_size() const noexcept;

    const parser_limits& limits_;
    const role role_;
    bool& stopped_;
    std::string message_;             // the fragments of a message so far
    std::uint64_t payload_left_ = 0;  // of the frame under way
    std::uint32_t fragments_ = 0;
    std::array<char, 14> header_{};  // RFC 6455 §5.2: 2 to 14 octets
    std::string control_;            // a control frame's payload that came in pieces, between a message's fragments
    std::array<char, 4> mask_{};
    std::uint8_t header_used_ = 0;
    std::uint8_t mask_at_ = 0;
    opcode frame_ = opcode::continuation;         // of the frame under way
    opcode message_kind_ = opcode::continuation;  // continuation: no message under way
    bool fin_ = false;
    bool in_payload_ = false;
    utf8_validator utf8_;
    std::optional<parser_failure> failure_;
};

parser::parser(role self, parser_limits limits) noexcept : limits_(limits), role_(self) {}

parser::~parser() = default;

bool parser::under_way() const noexcept {
    return kept_ && kept_->under_way();
}

std::size_t parser::octets_under_way() const noexcept {
    return kept_ ? kept_->octets() : 0;
}

std::optional<parser_failure> parser::feed(std::span<char> octets, parser_handler& handler) {
    std::optional<parser_failure> failure;
    do failure = take(octets, handler);
    while (paused_ && !failure && !stopped_ && !octets.empty());
    return failure;
}

std::optional<parser_failure> parser::take(std::span<char>& octets, parser_handler& handler) {
    paused_ = false;
    // Mostly whole messages come, and nothing is left to be kept.
    if (!kept_) {
        unfinished now(*this);
        now.take(octets, handler, paused_);
        if (!now.at_rest()) kept_ = std::make_unique<unfinished>(std::move(now));
        return kept_ ? kept_->failure() : std::nullopt;
    }
    kept_->take(octets, handler, paused_);
    if (!kept_->at_rest()) return kept_->failure();
    kept_.reset();
    return {};
}

void parser::unfinished::take(std::span<char>& octets, parser_handler& handler, const bool& paused) {
    while (!failure_ && !stopped_ && !paused) {
        if (!in_payload_) {
            if (octets.empty()) break;
            if ((failure_ = take_header(octets)) || !in_payload_) continue;
        }
        if (octets.empty() && payload_left_ > 0) break;
        failure_ = take_payload(octets, handler);
    }
}

// The size of the header under way, as far as its octets tell.
std::size_t parser::unfinished::header_size() const noexcept {
    if (header_used_ < 2) return 2;
    const std::uint8_t length = octet(header_[1]) & 0x7f;
    return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + (octet(header_[1]) & 0x80 ? 4u : 0u);
}

std::optional<parser_failure> parser::unfinished::take_header(std::span<char>& octets) {
    while (header_used_ < header_size()) {
        if (octets.empty()) return {};
        const std::size_t size = std::min(octets.size(), header_size() - header_used_);
        std::memcpy(header_.data() + header_used_, octets.data(), size);
        header_used_ = static_cast<std::uint8_t>(header_used_ + size);
        octets = octets.subspan(size);
        // The first two octets are judged at once: what is wrong already is not waited for.
        if (header_used_ == 2)
            if (const auto failure = begin_frame()) return failure;
    }

    const std::uint8_t short_length = octet(header_[1]) & 0x7f;
    const std::size_t extended = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
    const std::uint64_t length = extended == 0 ? short_length : big_endian(header_.data() + 2, extended);
    if (extended == 8 && length >> 63) return protocol_error("a length of more than 63 bits");
    // RFC 6455 §5.2: "the minimal number of bytes MUST be used".
    if ((extended == 2 && length < 126) || (extended == 8 && length < 65536))
        return protocol_error("a length that is not encoded in the fewest octets");
    if (!is_control(frame_) &&
        (length > limits_.message_bytes_max || message_.size() + length > limits_.message_bytes_max))
        return parser_failure{close_code::message_too_big, "the message is too big"};
    if (role_ == role::server) std::memcpy(mask_.data(), header_.data() + 2 + extended, 4);
    mask_at_ = 0;
    payload_left_ = length;
    header_used_ = 0;
    in_payload_ = true;
    return {};
}

std::optional<parser_failure> parser::unfinished::begin_frame() {
    fin_ = octet(header_[0]) & 0x80;
    if (octet(header_[0]) & 0x70) return protocol_error("a reserved bit is set");  // no extension was negotiated
    const std::uint8_t code = octet(header_[0]) & 0x0f;
    if ((code > 2 && code < 8) || code > 10) return protocol_error("an unknown opcode");
    frame_ = static_cast<opcode>(code);
    const bool masked = octet(header_[1]) & 0x80;
    if (masked != (role_ == role::server))
        return protocol_error(masked ? "a server's frame is masked" : "a client's frame is not masked");
    if (is_control(frame_)) {
        if (!fin_) return protocol_error("a control frame is fragmented");
        if ((octet(header_[1]) & 0x7f) > control_payload_max) return protocol_error("a control frame is too long");
        control_.clear();
        return {};
    }
    if (frame_ == opcode::continuation) {
        if (message_kind_ == opcode::continuation) return protocol_error("a continuation of nothing");
        if (++fragments_ > limits_.fragments_max)
            return parser_failure{close_code::policy_violation, "the message has too many fragments"};
    } else {
        if (message_kind_ != opcode::continuation) return protocol_error("a new message inside a fragmented one");
        message_kind_ = frame_;
        fragments_ = 1;
        utf8_.reset();
    }
    return {};
}

void parser::unfinished::unmask(std::span<char> octets) noexcept {
    if (role_ == role::client) return;
    std::size_t i = 0;
    std::array<char, 8> key;
    for (std::size_t k = 0; k < key.size(); ++k) key[k] = mask_[(mask_at_ + k) % 4];
    std::uint64_t key_word = 0;
    std::memcpy(&key_word, key.data(), 8);
    for (; i + 8 <= octets.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, octets.data() + i, 8);
        word ^= key_word;
        std::memcpy(octets.data() + i, &word, 8);
    }
    for (std::size_t k = 0; i < octets.size(); ++i, ++k) octets[i] = static_cast<char>(octets[i] ^ key[k]);
    mask_at_ = static_cast<std::uint8_t>((mask_at_ + octets.size()) % 4);
}

std::optional<parser_failure> parser::unfinished::take_payload(std::span<char>& octets, parser_handler& handler) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, octets.size()));
    const std::span<char> piece = octets.first(size);
    octets = octets.subspan(size);
    unmask(piece);
    const bool whole_at_once = size == payload_left_;
    payload_left_ -= size;
    const std::string_view text(piece.data(), piece.size());

    if (is_control(frame_)) {
        if (whole_at_once && control_.empty()) return end_frame(text, handler);
        control_ += text;
        if (payload_left_ > 0) return {};
        // Taken out first: the buffer goes with this call, and the handler may stop us.
        const std::string whole = std::exchange(control_, {});
        return end_frame(whole, handler);
    }
    if (message_kind_ == opcode::text && !utf8_.feed(text))
        return parser_failure{close_code::invalid_payload, "a text message is not UTF-8"};
    if (whole_at_once && fin_ && message_.empty()) return end_frame(text, handler);
    message_ += text;
    if (payload_left_ > 0) return {};
    return end_frame(message_, handler);
}

std::optional<parser_failure> parser::unfinished::end_frame(std::string_view payload, parser_handler& handler) {
    in_payload_ = false;
    switch (frame_) {
        case opcode::ping:
            handler.on_ping(payload);
            return {};
        case opcode::pong:
            handler.on_pong(payload);
            return {};
        case opcode::close:
            return end_close(payload, handler);
        default:
            break;
    }
    if (!fin_) return {};
    const opcode kind = std::exchange(message_kind_, opcode::continuation);
    if (kind == opcode::text && !utf8_.complete())
        return parser_failure{close_code::invalid_payload, "a text message ends inside a character"};
    // Taken out first: the buffer goes with this call, and the handler may stop us.
    const std::string assembled = std::exchange(message_, {});
    handler.on_message(kind, assembled.empty() ? payload : std::string_view(assembled));
    return {};
}

std::optional<parser_failure> parser::unfinished::end_close(std::string_view payload, parser_handler& handler) {
    stopped_ = true;  // RFC 6455 §5.5.1: nothing follows a close frame
    if (payload.empty()) {
        handler.on_close(close_code::no_status_received, {});
        return {};
    }
    if (payload.size() == 1) return protocol_error("a close frame with half a code");
    const auto code = static_cast<std::uint16_t>(big_endian(payload.data(), 2));
    if (!allowed_on_wire(code)) return protocol_error("a close code that must not be sent");
    const std::string_view reason = payload.substr(2);
    if (!is_utf8(reason)) return parser_failure{close_code::invalid_payload, "a close reason is not UTF-8"};
    handler.on_close(static_cast<close_code>(code), reason);
    return {};
}

}  // namespace foz::ws
