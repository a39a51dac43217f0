#include "amqp/codec/encode.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace foz::amqp {

void encode_protocol_header(std::string& out) {
    out.append(protocol_header_octets);
}

void encode_heartbeat(std::string& out) {
    writer frame(out);
    frame.begin_frame(frame_type::heartbeat, 0);
    frame.end_frame(0);
}

namespace {

void begin_content_header(writer& frame, content_options options, std::uint64_t body_size) {
    frame.begin_frame(frame_type::header, options.channel);
    frame.u16(basic_publish::class_id);
    frame.u16(0);  // weight, unused (AMQP 0-9-1 §4.2.6.1)
    frame.u64(body_size);
}

}  // namespace

std::expected<void, wire_error> encode_content_header(std::string& out, content_options options,
                                                      std::uint64_t body_size, const basic_properties& properties) {
    writer frame(out);
    begin_content_header(frame, options, body_size);
    write_properties(frame, properties);
    frame.end_frame(options.frame_max);
    return frame.finish();
}

std::expected<void, wire_error> encode_content_header(std::string& out, content_options options,
                                                      std::uint64_t body_size, std::string_view encoded_properties) {
    writer frame(out);
    begin_content_header(frame, options, body_size);
    frame.octets(encoded_properties);
    frame.end_frame(options.frame_max);
    return frame.finish();
}

void encode_body(std::string& out, content_options options, std::string_view body) {
    assert(options.frame_max == 0 || options.frame_max > frame_overhead);
    const std::uint32_t frame_max = options.frame_max == 0 ? std::numeric_limits<std::uint32_t>::max()
                                                           : std::max(options.frame_max, frame_overhead + 1);
    const std::size_t most = frame_max - frame_overhead;
    out.reserve(out.size() + body.size() + (body.size() / most + 1) * frame_overhead);
    while (!body.empty()) {
        const std::size_t size = std::min(body.size(), most);
        writer frame(out);
        frame.begin_frame(frame_type::body, options.channel);
        frame.octets(body.substr(0, size));
        frame.end_frame(0);
        body.remove_prefix(size);
    }
}

void begin_body_frame(std::string& out, std::uint16_t channel, std::size_t size) {
    writer frame(out);
    frame.u8(static_cast<std::uint8_t>(frame_type::body));
    frame.u16(channel);
    frame.u32(static_cast<std::uint32_t>(size));
}

void end_body_frame(std::string& out) {
    out.push_back(static_cast<char>(frame_end));
}

std::expected<void, wire_error> encode_content_frames(std::string& out, content_options options,
                                                      const basic_properties& properties, std::string_view body) {
    const auto header = encode_content_header(out, options, body.size(), properties);
    if (header) encode_body(out, options, body);
    return header;
}

}  // namespace foz::amqp
