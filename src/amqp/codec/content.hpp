// Content: a method frame, a header frame and body frames put together (AMQP 0-9-1 §4.2.6).
#pragma once

#include "amqp/codec/frame_parser.hpp"
#include "amqp/codec/methods.hpp"
#include "amqp/codec/property_view.hpp"
#include "base/content_check.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace foz::amqp {

struct content_header {
    std::uint16_t class_id = 0;
    std::uint64_t body_size = 0;  // octets of all body frames together
    basic_properties properties;

    bool operator==(const content_header&) const = default;
};

// Decodes a header frame's payload into `out`, which is unspecified after an error.
std::expected<void, wire_error> decode_content_header(std::string_view payload, content_header& out);

// A body that was too large to be kept: read and thrown away, octet for octet.
struct skipped_body {
    std::uint64_t size = 0;
    std::uint32_t check = 0;  // content_check_of() the message id and this body

    bool operator==(const skipped_body&) const = default;
};

// One method; for those with content (basic.publish, return, deliver, get-ok) with its properties and body, else these
// are empty. Members may be moved from; the message itself stays where it is, since `body` may point into it.
struct message {
    message() = default;
    message(const message&) = delete;
    message& operator=(const message&) = delete;

    amqp::method method;
    basic_properties properties;          // unless the assembler leaves them encoded:
    std::string encoded_properties;       // flags and list
    property_view scanned;                // of encoded_properties
    std::string_view body;                // a view into the only body frame, or into `storage`
    std::string storage;                  // the body when it came in several frames
    std::optional<skipped_body> skipped;  // then `body` is empty; only with over_limit::skip

    // The body as a string of its own; copies only when the body is a view into a frame. Leaves the message without
    // one.
    std::string take_body();
};

// Whether an assembler decodes properties, or checks them and leaves them as they came (for a broker, which passes them
// on).
enum class properties_as : std::uint8_t { decoded, encoded };

// What a body over the limit costs: its channel (the error says so), or itself alone.
enum class over_limit : std::uint8_t { fail, skip };

// Puts the frames of one channel together; one assembler for each open channel (channel 0 included). Lives on the
// connection's thread. Holds one message and at most body_limit octets of body.
// Not movable, as the message is not.
class content_assembler {
public:
    // 128 MiB, RabbitMQ's largest message before 4.0.
    static constexpr std::uint64_t body_limit_default = std::uint64_t{128} << 20;

    explicit content_assembler(std::uint64_t body_limit = body_limit_default,
                               properties_as form = properties_as::decoded,
                               over_limit larger = over_limit::fail) noexcept
        : body_limit_(body_limit), form_(form), larger_(larger) {}

    // The message that this frame completes, or null. It belongs to the assembler and lives, with its views, until the
    // next feed(); its body may be a view into the frame and then lives no longer than that.
    //
    // Errors: a frame out of turn (505), more body than announced or a header of another class (501), a method or
    // header that can't be decoded (501, 502, 540), and, unless those are skipped, a body over the limit (406, which
    // RabbitMQ uses for it: it closes the channel only). After an error the assembler is idle; the channel's or
    // connection's user drops everything up to close-ok.
    std::expected<message*, frame_error> feed(const frame& f);

    // Between a content method and the end of its body.
    bool in_content() const noexcept { return state_ != state::idle; }

private:
    enum class state : std::uint8_t { idle, header_due, body_due, skipping };

    std::expected<message*, frame_error> on_method(std::string_view payload);
    std::expected<message*, frame_error> on_header(std::string_view payload);
    std::expected<message*, frame_error> on_body(std::string_view payload);
    message* skip(std::string_view payload);
    std::unexpected<frame_error> fail(reply_code code, std::string_view text);
    void drop_body() noexcept;

    std::uint64_t body_limit_;
    properties_as form_;
    over_limit larger_;
    std::uint64_t body_size_ = 0;
    std::uint64_t skipped_ = 0;           // octets of it that came, while skipping
    std::optional<content_check> check_;  // of these
    state state_ = state::idle;
    bool has_properties_ = false;
    message message_;
};

}  // namespace foz::amqp
