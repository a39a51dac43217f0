// The frame layer: octets in, frames out (AMQP 0-9-1 §4.2.3).
#pragma once

#include "amqp/codec/constants.hpp"
#include "amqp/codec/error.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace foz::amqp {

// What a frame adds to its payload: type, channel, size and the end octet.
inline constexpr std::uint32_t frame_overhead = 8;

// "AMQP", 0, 0, 9, 1 (AMQP 0-9-1 §4.2.2).
inline constexpr std::string_view protocol_header_octets{"AMQP\0\0\x09\x01", 8};

// Which side of the connection the parser is on. A server expects the peer's protocol header first. A client does not,
// but understands the one that a server sends to refuse its version.
enum class role : std::uint8_t { client, server };

// One frame whose envelope has been checked. The payload of a method or header frame is not decoded yet.
struct frame {
    frame_type type = frame_type::heartbeat;
    std::uint16_t channel = 0;
    std::string_view payload;  // valid until the parser's next() or the end of the fed octets, whichever is first

    bool operator==(const frame&) const = default;
};

// Cuts a stream of octets into frames. Pull style, so nothing calls back and nothing can be destroyed inside:
//
//     std::string_view input = what was read;
//     for (;;) {
//         auto next = parser.next(input);
//         if (!next) close(next.error());
//         if (!*next) break;                  // needs more; input is empty now and may be reused
//         assembler.feed(**next);
//     }
//
// A frame that lies whole in the input is a view into it. Only a frame that is split between two inputs is copied,
// into a buffer of at most frame_max octets. One thread; no I/O; after an error every call returns that error again.
class frame_parser {
public:
    // frame_max bounds a whole frame before tuning. 8,192 leaves room for a token as password in start-ok.
    explicit frame_parser(role side, std::uint32_t frame_max = 8192);

    // After tune-ok. Values under frame_min_size are raised to it; 0 is not "no limit" here: say what you can hold.
    void set_frame_max(std::uint32_t octets) noexcept;
    std::uint32_t frame_max() const noexcept { return frame_max_; }

    // Takes one frame from the front of `input`. Errors: an unknown type, a frame larger than frame_max, a wrong end
    // octet, a heartbeat with content or on a channel: 501; anything but this protocol at the start: wrong_protocol.
    // For a server the first frame is the protocol_header; a client that gets one receives it as wrong_protocol.
    std::expected<std::optional<frame>, frame_error> next(std::string_view& input);

    // Octets held of a frame that is not whole yet.
    std::size_t buffered() const noexcept { return delivered_ ? 0 : buffer_.size(); }

private:
    std::expected<std::size_t, frame_error> measure(std::string_view prefix) const;
    std::expected<std::size_t, frame_error> measure_protocol_header(std::string_view prefix) const;
    std::expected<frame, frame_error> open(std::string_view octets);
    std::unexpected<frame_error> fail(frame_error error);

    role role_;
    std::uint32_t frame_max_;
    bool at_start_ = true;
    bool delivered_ = false;  // the last frame is a view into buffer_
    std::string buffer_;
    std::optional<frame_error> error_;
};

}  // namespace foz::amqp
