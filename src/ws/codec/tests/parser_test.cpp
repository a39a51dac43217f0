#include "ws/codec/parser.hpp"

#include "ws/codec/writer.hpp"

#include <functional>
#include <vector>

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using namespace std::string_literals;

constexpr mask_key key{'\x37', '\xfa', '\x21', '\x3d'};

// What happened, as one line for each event.
struct recorder final : parser_handler {
    void on_message(opcode kind, std::string_view payload) override {
        note((kind == opcode::text ? "text " : "binary ") + std::string(payload));
    }
    void on_ping(std::string_view payload) override { note("ping " + std::string(payload)); }
    void on_pong(std::string_view payload) override { note("pong " + std::string(payload)); }
    void on_close(close_code code, std::string_view reason) override {
        note("close " + std::to_string(static_cast<int>(code)) + " " + std::string(reason));
    }
    void note(std::string event) {
        events.push_back(std::move(event));
        if (after) after();
    }
    std::vector<std::string> events;
    std::function<void()> after;
};

struct run {
    std::vector<std::string> events;
    std::optional<parser_failure> failure;
    friend bool operator==(const run&, const run&) = default;
};

// Feeds the octets in two pieces, each in memory of its own size, so that a sanitizer sees every step outside.
run parse(const std::string& octets, std::size_t split = std::string::npos, role self = role::server,
          parser_limits limits = {}) {
    parser p(self, limits);
    recorder r;
    run result;
    std::string first = octets.substr(0, split);
    std::string second = split < octets.size() ? octets.substr(split) : "";
    result.failure = p.feed(first, r);
    if (!result.failure) result.failure = p.feed(second, r);
    result.events = r.events;
    return result;
}

std::string masked(opcode op, std::string_view payload, bool fin = true) {
    std::string out;
    append_masked_fragment(out, op, fin, payload, key);
    return out;
}

std::string raw_close(std::uint16_t code, std::string_view reason = "") {
    return masked(opcode::close,
                  std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + std::string(reason));
}

}  // namespace

// RFC 6455 §5.7.
TEST(ws_parser, understands_the_rfc_s_examples) {
    EXPECT_EQ(parse("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s).events, (std::vector{"text Hello"s}));
    EXPECT_EQ(parse("\x81\x05Hello"s, 0, role::client).events, (std::vector{"text Hello"s}));
    EXPECT_EQ(parse("\x01\x03Hel\x80\x02lo"s, 0, role::client).events, (std::vector{"text Hello"s}));
    EXPECT_EQ(parse("\x89\x05Hello"s, 0, role::client).events, (std::vector{"ping Hello"s}));
    EXPECT_EQ(parse("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s).events, (std::vector{"pong Hello"s}));
    EXPECT_EQ(masked(opcode::text, "Hello"), "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
    std::string frame;
    append_frame(frame, opcode::binary, std::string(256, 'x'));
    EXPECT_EQ(frame.substr(0, 4), "\x82\x7e\x01\x00"s);
    frame.clear();
    append_frame(frame, opcode::binary, std::string(65536, 'x'));
    EXPECT_EQ(frame.substr(0, 10), "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST(ws_parser, any_split_gives_the_same_events) {
    const std::string euro = "\xe2\x82\xac";
    const std::string octets = masked(opcode::text, "one") + masked(opcode::text, "a" + euro.substr(0, 1), false) +
                               masked(opcode::ping, "between") + masked(opcode::continuation, euro.substr(1), false) +
                               masked(opcode::pong, "") + masked(opcode::continuation, "", false) +
                               masked(opcode::continuation, "!") + masked(opcode::binary, std::string(300, '\xff')) +
                               masked(opcode::text, "") + raw_close(4000, "bye") + "ignored";
    const run whole = parse(octets);
    EXPECT_FALSE(whole.failure);
    EXPECT_EQ(whole.events,
              (std::vector<std::string>{"text one", "ping between", "pong ", "text a" + euro + "!",
                                        "binary " + std::string(300, '\xff'), "text ", "close 4000 bye"}));
    for (std::size_t i = 0; i <= octets.size(); ++i) EXPECT_EQ(parse(octets, i), whole) << i;
    parser p(role::server);
    recorder r;
    for (char c : octets) EXPECT_FALSE(p.feed({&c, 1}, r));
    EXPECT_EQ(r.events, whole.events);
}

TEST(ws_parser, each_rule_has_its_close_code) {
    struct row {
        const char* rule;
        std::string octets;
        close_code code;
    };
    const std::vector<row> rows{
        {"reserved bit", "\xc1\x80"s, close_code::protocol_error},
        {"reserved bit 3", "\x91\x80"s, close_code::protocol_error},
        {"unknown data opcode", "\x83\x80"s, close_code::protocol_error},
        {"unknown control opcode", "\x8b\x80"s, close_code::protocol_error},
        {"not masked", "\x81\x05Hello"s, close_code::protocol_error},
        {"fragmented ping", "\x09\x80"s, close_code::protocol_error},
        {"long ping", "\x89\xfe"s, close_code::protocol_error},
        {"continuation of nothing", masked(opcode::continuation, "x"), close_code::protocol_error},
        {"message inside a message", masked(opcode::text, "x", false) + masked(opcode::text, "y"),
         close_code::protocol_error},
        {"16-bit length below 126", "\x81\xfe\x00\x7d\0\0\0\0"s, close_code::protocol_error},
        {"64-bit length below 65536", "\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0"s, close_code::protocol_error},
        {"64-bit length with its top bit", "\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0"s, close_code::protocol_error},
        {"too big", "\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"s, close_code::message_too_big},
        {"not UTF-8", masked(opcode::text, "a\xff"), close_code::invalid_payload},
        {"not UTF-8, known before the end", masked(opcode::text, "a\xed\xa0", false), close_code::invalid_payload},
        {"UTF-8 cut off", masked(opcode::text, "\xe2\x82"), close_code::invalid_payload},
        {"half a close code", masked(opcode::close, "\x03"), close_code::protocol_error},
        {"close 999", raw_close(999), close_code::protocol_error},
        {"close 1004", raw_close(1004), close_code::protocol_error},
        {"close 1005", raw_close(1005), close_code::protocol_error},
        {"close 1006", raw_close(1006), close_code::protocol_error},
        {"close 1015", raw_close(1015), close_code::protocol_error},
        {"close 2999", raw_close(2999), close_code::protocol_error},
        {"close 5000", raw_close(5000), close_code::protocol_error},
        {"close reason not UTF-8", raw_close(1000, "\xff"), close_code::invalid_payload},
    };
    for (const row& r : rows) {
        for (std::size_t i = 0; i <= r.octets.size(); ++i) {
            const run result = parse(r.octets, i);
            ASSERT_TRUE(result.failure) << r.rule << " at " << i;
            EXPECT_EQ(result.failure->code, r.code) << r.rule;
            EXPECT_TRUE(result.events.empty()) << r.rule;
        }
    }
    EXPECT_TRUE(parse("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, 0, role::client).failure);
}

TEST(ws_parser, good_close_codes_pass) {
    for (const int code : {1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999})
        EXPECT_EQ(parse(raw_close(static_cast<std::uint16_t>(code))).events,
                  (std::vector{"close " + std::to_string(code) + " "}));
    EXPECT_EQ(parse(masked(opcode::close, "")).events, (std::vector{"close 1005 "s}));
}

TEST(ws_parser, limits_count_all_fragments_together) {
    const parser_limits limits{.message_bytes_max = 10, .fragments_max = 3};
    const std::string five = masked(opcode::binary, "12345", false);
    EXPECT_FALSE(parse(five + masked(opcode::continuation, "67890"), 3, role::server, limits).failure);
    EXPECT_EQ(parse(five + masked(opcode::continuation, "678901"), 3, role::server, limits).failure->code,
              close_code::message_too_big);
    const std::string empty = masked(opcode::continuation, "", false);
    EXPECT_EQ(parse(five + empty + empty + empty, 3, role::server, limits).failure->code, close_code::policy_violation);
}

TEST(ws_parser, sizes_around_every_length_encoding_round_trip) {
    for (const std::size_t size : {0u, 1u, 125u, 126u, 127u, 65535u, 65536u, 200000u}) {
        std::string payload(size, '\0');
        for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 13);
        const run from_client = parse(masked(opcode::binary, payload), size / 2);
        ASSERT_EQ(from_client.events.size(), 1u) << size;
        EXPECT_EQ(from_client.events[0], "binary " + payload);
        std::string frame;
        append_frame(frame, opcode::binary, payload);
        EXPECT_EQ(parse(frame, size / 3, role::client).events, from_client.events);
    }
}

TEST(ws_parser, may_be_stopped_inside_any_callback) {
    const std::string octets = masked(opcode::text, "a") + masked(opcode::ping, "b") +
                               masked(opcode::text, "c", false) + masked(opcode::continuation, "d") + raw_close(1000);
    for (std::size_t stop_after = 1; stop_after <= 4; ++stop_after) {
        parser p(role::server);
        recorder r;
        r.after = [&] {
            if (r.events.size() == stop_after) p.stop();
        };
        std::string copy = octets;
        EXPECT_FALSE(p.feed(copy, r));
        copy = octets;
        EXPECT_FALSE(p.feed(copy, r));
        EXPECT_EQ(r.events.size(), stop_after);
    }
}

TEST(ws_writer, a_close_reason_is_cut_at_a_character) {
    std::string reason(122, 'x');
    reason += "\xe2\x82\xac";
    EXPECT_EQ(close_payload(close_code::normal, reason), "\x03\xe8"s + std::string(122, 'x'));
    EXPECT_EQ(close_payload(close_code::abnormal_closure, "x"), "");
}

TEST(ws_parser, take_ends_after_a_frame_when_it_is_paused_and_goes_on_where_it_was) {
    const std::string octets = masked(opcode::text, "one") + masked(opcode::ping, "p") +
                               masked(opcode::text, "tw", false) + masked(opcode::continuation, "o") +
                               masked(opcode::text, "");
    for (std::size_t split = 0; split <= octets.size(); ++split) {
        parser p(role::server);
        recorder r;
        r.after = [&] { p.pause(); };
        std::string first = octets.substr(0, split), second = octets.substr(split);
        std::size_t events = 0;
        for (std::string* part : {&first, &second}) {
            std::span<char> left(*part);
            while (!left.empty()) {
                EXPECT_EQ(p.take(left, r), std::nullopt);
                EXPECT_LE(r.events.size(), events + 1) << split;  // one at a time
                events = r.events.size();
            }
        }
        EXPECT_EQ(r.events, (std::vector{"text one"s, "ping p"s, "text two"s, "text "s})) << split;
    }
}

TEST(ws_parser, feed_takes_everything_though_it_is_paused) {
    parser p(role::server);
    recorder r;
    r.after = [&] { p.pause(); };
    std::string octets = masked(opcode::text, "a") + masked(opcode::text, "b") + masked(opcode::text, "c");
    EXPECT_EQ(p.feed(octets, r), std::nullopt);
    EXPECT_EQ(r.events.size(), 3u);
}

}  // namespace foz::ws
