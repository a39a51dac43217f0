// What a text message of Primus 8 carries, with or without primus-responder, and how to write one.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace foz::primus {

// A requestId or responseId, in octets after unescaping.
inline constexpr std::size_t request_id_bytes_max = 64;

enum class packet_kind : std::uint8_t {
    ping,             // primus::ping::<ms>, from older clients: answer with append_pong(ms)
    pong,             // primus::pong::<ms>: the client is alive
    id,               // primus::id::, the client asks for its spark id: answer with append_id()
    unknown_control,  // any other string that begins with primus::
    null,             // a bare null: to be ignored, and never to be sent
    request,          // primus-responder: an answer with the same id is awaited
    response,         // primus-responder: the answer to a request of ours
    data,             // everything else
};

// The views belong to the parser, until its next parse(). What kinds don't mention is empty or 0.
struct packet {
    packet_kind kind = packet_kind::data;
    std::uint64_t ms = 0;      // ping; pong (0 when what follows is not a number: it is a sign of life all the same)
    std::string_view id;       // request, response: 1 to request_id_bytes_max octets without control characters
    std::string_view data;     // request, response, data: one valid JSON value as it came, octet for octet, without
                               // the white space around it; `null` when a responder frame has no data
    std::string_view control;  // unknown_control: the whole text
};

enum class packet_errc : std::uint8_t {
    bad_json,     // not exactly one valid JSON value
    bad_request,  // a primus-responder frame without a usable requestId or responseId, or with a key given twice
};

// The code as clients see it.
std::string_view to_string(packet_errc code) noexcept;

// Literals: nothing in it depends on the parser.
struct packet_error {
    packet_errc code = packet_errc::bad_json;
    std::string_view field;  // bad_request: the key that is wrong
    std::string_view text;
    friend bool operator==(const packet_error&, const packet_error&) = default;
};

// Takes text messages apart. Reusable; one for each shard, not thread-safe. Holds a few times the largest frame that
// it was given (the transport bounds frames).
//
// Keys may come in any order and spelling ("\u0070lugin" is plugin). JSON that simdjson refuses is bad_json: besides
// what RFC 8259 forbids that is nesting deeper than 1,024, numbers beyond 64-bit integers and doubles (1e20 as
// JavaScript writes it, 100000000000000000000), and the escape of half a surrogate pair.
class parser {
public:
    parser();
    ~parser();
    parser(parser&&) noexcept;
    parser& operator=(parser&&) noexcept;

    // Copies the frame: the result does not refer to it. At least 64 octets (simdjson's padding) behind every `data`
    // may be read, so that another simdjson parser takes it without a further copy.
    std::expected<packet, packet_error> parse(std::string_view frame);

private:
    struct state;
    std::unique_ptr<state> state_;
};

// Appends one text message, not yet framed for a WebSocket. Strings must be valid UTF-8, raw_data one valid JSON
// value, which is spliced octet for octet.
void append_ping(std::string& out, std::uint64_t ms);
void append_pong(std::string& out, std::uint64_t ms);
void append_id(std::string& out, std::string_view spark_id);
// Before a close: do not come back.
void append_server_close(std::string& out);
void append_request(std::string& out, std::string_view request_id, std::string_view raw_data);
void append_response(std::string& out, std::string_view request_id, std::string_view raw_data);

}  // namespace foz::primus
