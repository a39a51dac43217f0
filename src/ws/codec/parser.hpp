// RFC 6455 frames in, messages out.
#pragma once

#include "ws/codec/close_code.hpp"
#include "ws/codec/opcode.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace foz::ws {

// What a parser found. Views are valid only during the call. Any call may call the parser's stop().
class parser_handler {
public:
    // A whole message; text is valid UTF-8.
    virtual void on_message(opcode kind, std::string_view payload) = 0;
    virtual void on_ping(std::string_view payload) = 0;
    virtual void on_pong(std::string_view payload) = 0;
    // no_status_received when the frame had no code. Nothing is reported after it.
    virtual void on_close(close_code code, std::string_view reason) = 0;

protected:
    ~parser_handler() = default;
};

// The peer broke the protocol: close with this code.
struct parser_failure {
    close_code code = close_code::protocol_error;
    std::string_view text;  // a literal
    friend bool operator==(const parser_failure&, const parser_failure&) = default;
};

struct parser_limits {
    std::size_t message_bytes_max = 1024 * 1024;  // of all fragments together
    std::size_t fragments_max = 1024;             // of one message: empty ones cost nothing but time
};

// Fed with octets in any split. An unfragmented message that lies whole in the fed octets is reported as a view into
// them; anything else is put together in a buffer that is given back afterwards. Must outlive every call of feed():
// whoever wants to destroy it from inside a callback calls stop() and waits until feed() has returned.
class parser {
public:
    explicit parser(role self, parser_limits limits = {}) noexcept;
    ~parser();

    // Unmasks in place: the octets are changed. Nothing when all is well so far, also after stop() or a close frame,
    // when what follows is ignored; after a failure the same failure again.
    std::optional<parser_failure> feed(std::span<char> octets, parser_handler& handler);

    // As feed(), but ends early when the handler calls pause(): then `octets` is what has not been looked at.
    std::optional<parser_failure> take(std::span<char>& octets, parser_handler& handler);
    void pause() noexcept { paused_ = true; }

    // The beginning of a message, or of a frame, has come, and its end has not; and how much of it has come.
    bool under_way() const noexcept;
    std::size_t octets_under_way() const noexcept;

    // Nothing more is reported.
    void stop() noexcept { stopped_ = true; }

private:
    // What lies between two calls when a frame or a message is not whole yet. An idle connection has none.
    struct unfinished;

    parser_limits limits_;
    std::unique_ptr<unfinished> kept_;
    role role_;
    bool stopped_ = false;
    bool paused_ = false;
};

}  // namespace foz::ws
