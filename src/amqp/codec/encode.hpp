// Frames out: everything appends to a string and, when it fails, leaves it as it was. Methods: encode_method() in
// amqp/codec/methods.hpp.
#pragma once

#include "amqp/codec/frame_parser.hpp"
#include "amqp/codec/methods.hpp"

#include <concepts>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace foz::amqp {

// basic.publish, basic.return, basic.deliver, basic.get-ok.
template <class M>
concept content_method = M::has_content;

// frame_max is what tuning settled: it counts whole frames; 0 is no limit.
struct content_options {
    std::uint16_t channel = 0;
    std::uint32_t frame_max = 0;
};

void encode_protocol_header(std::string& out);
void encode_heartbeat(std::string& out);

// One header frame. frame_too_large when the properties do not fit: a content header can't span frames.
std::expected<void, wire_error> encode_content_header(std::string& out, content_options options,
                                                      std::uint64_t body_size, const basic_properties& properties);

// The same with properties that are encoded already (content_assembler with properties_as::encoded).
std::expected<void, wire_error> encode_content_header(std::string& out, content_options options,
                                                      std::uint64_t body_size, std::string_view encoded_properties);

// As many body frames as needed, none for an empty body. frame_max must be 0 or more than frame_overhead.
void encode_body(std::string& out, content_options options, std::string_view body);

// What stands before and behind the octets of one body frame, for a sender that does not copy them.
void begin_body_frame(std::string& out, std::uint16_t channel, std::size_t size);
void end_body_frame(std::string& out);

// Header and body frames, to follow a content method on the same channel with nothing in between.
std::expected<void, wire_error> encode_content_frames(std::string& out, content_options options,
                                                      const basic_properties& properties, std::string_view body);

// Method, header and body frames.
template <content_method M>
std::expected<void, wire_error> encode_content(std::string& out, content_options options, const M& m,
                                               const basic_properties& properties, std::string_view body) {
    const std::size_t start = out.size();
    auto done = encode_method(out, options.channel, m, options.frame_max);
    if (!done) return done;
    done = encode_content_frames(out, options, properties, body);
    if (!done) out.resize(start);
    return done;
}

}  // namespace foz::amqp
