// The parser against a slow reading of RFC 6455 that has all octets at once and no state machine. The first octet of
// the input chooses the role and where the parser's input is split. Bit 3 of it clears the masks, so that the fuzzer
// finds UTF-8 and close codes without knowing the key.
#include "ws/codec/parser.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace foz::ws;

constexpr parser_limits limits{.message_bytes_max = 512, .fragments_max = 4};

struct outcome {
    void note(std::string_view event, std::string_view payload) {
        events += std::string(event) + std::to_string(payload.size()) + ":" + std::string(payload) + "\n";
    }
    std::string events;
    int failure = 0;  // a close code
};

struct recorder final : parser_handler {
    void on_message(opcode kind, std::string_view p) override {
        seen.note(kind == opcode::text ? "text" : "binary", p);
    }
    void on_ping(std::string_view p) override { seen.note("ping", p); }
    void on_pong(std::string_view p) override { seen.note("pong", p); }
    void on_close(close_code code, std::string_view reason) override {
        seen.note("close" + std::to_string(static_cast<int>(code)) + " ", reason);
    }
    outcome seen;
};

unsigned at(std::string_view s, std::size_t i) {
    return static_cast<unsigned char>(s[i]);
}

// RFC 3629 by decoding and encoding again. 1: whole characters; 0: may still become so; -1: never.
int judge_utf8(std::string_view s) {
    for (std::size_t i = 0; i < s.size();) {
        const unsigned lead = at(s, i);
        const std::size_t size = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
        if (size == 0) return -1;
        // What is missing may be anything: try the lowest and the highest that it can become.
        std::uint32_t low = size == 1 ? lead : lead & (0x7fu >> size), high = low;
        for (std::size_t k = 1; k < size; ++k) {
            const bool here = i + k < s.size();
            if (here && at(s, i + k) >> 6 != 2) return -1;
            low = low << 6 | (here ? at(s, i + k) & 0x3f : 0);
            high = high << 6 | (here ? at(s, i + k) & 0x3f : 0x3f);
        }
        const std::uint32_t first = size == 1 ? 0 : size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
        if (high < first || low > 0x10ffff) return -1;   // overlong, or beyond Unicode
        if (low >= 0xd800 && high <= 0xdfff) return -1;  // a surrogate
        if (i + size > s.size()) return 0;
        i += size;
    }
    return 1;
}

struct model {
    outcome run(std::string_view in, role self) {
        while (seen.failure == 0 && !closed && in.size() >= 2 && frame(in, self)) {
        }
        return seen;
    }

    bool fail(int code) {
        seen.failure = code;
        return false;
    }

    // One frame from the front of `in`; false when there is no whole one or nothing follows.
    bool frame(std::string_view& in, role self) {
        const bool fin = at(in, 0) & 0x80;
        const unsigned code = at(in, 0) & 15, short_length = at(in, 1) & 127;
        const bool masked = at(in, 1) & 0x80, control = code >= 8;
        if (at(in, 0) & 0x70 || (code > 2 && code < 8) || code > 10 || masked != (self == role::server))
            return fail(1002);
        if (control && (!fin || short_length > 125)) return fail(1002);
        if (!control && (code == 0) != in_message) return fail(1002);
        if (!control && (fragments = in_message ? fragments + 1 : 1) > limits.fragments_max) return fail(1008);
        if (!control && !in_message) text = code == 1;
        if (!control) in_message = true;
        const std::size_t extended = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
        const std::size_t head = 2 + extended + (masked ? 4 : 0);
        if (in.size() < head) return false;
        std::uint64_t length = extended ? 0 : short_length;
        for (std::size_t i = 0; i < extended; ++i) length = length << 8 | at(in, 2 + i);
        if (length >> 63 || (extended == 2 && length < 126) || (extended == 8 && length < 65536)) return fail(1002);
        if (!control && length > limits.message_bytes_max - message.size()) return fail(1009);
        const std::size_t here = std::min<std::uint64_t>(length, in.size() - head);
        std::string payload(in.substr(head, here));
        if (masked)
            for (std::size_t i = 0; i < here; ++i) payload[i] = static_cast<char>(payload[i] ^ in[head - 4 + i % 4]);
        if (!control) message += payload;
        if (!control && text && judge_utf8(message) < 0) return fail(1007);
        if (here < length) return false;
        in.remove_prefix(head + here);
        if (control) return end_control(code, payload);
        if (!fin) return true;
        if (text && judge_utf8(message) == 0) return fail(1007);
        seen.note(text ? "text" : "binary", message);
        message.clear();
        in_message = false;
        return true;
    }

    bool end_control(unsigned code, std::string_view payload) {
        if (code != 8) {
            seen.note(code == 9 ? "ping" : "pong", payload);
            return true;
        }
        closed = true;
        if (payload.empty()) return seen.note("close1005 ", ""), false;
        if (payload.size() == 1) return fail(1002);
        const unsigned number = at(payload, 0) << 8 | at(payload, 1);
        const bool registered =
            number == 1000 || number == 1001 || number == 1002 || number == 1003 || (number >= 1007 && number <= 1014);
        if (!registered && (number < 3000 || number > 4999)) return fail(1002);
        if (judge_utf8(payload.substr(2)) != 1) return fail(1007);
        return seen.note("close" + std::to_string(number) + " ", payload.substr(2)), false;
    }

    outcome seen;
    std::string message;
    bool in_message = false, text = false, closed = false;
    std::size_t fragments = 0;
};

// Masks of zeros, wherever the frames of a client begin.
void clear_masks(std::string& in) {
    for (std::size_t i = 0; i + 6 <= in.size();) {
        const unsigned length = at(in, i + 1) & 127;
        const std::size_t mask = i + 2 + (length == 126 ? 2 : length == 127 ? 8 : 0);
        if (mask + 4 > in.size()) return;
        in.replace(mask, 4, 4, '\0');
        i = mask + 4 + (length == 126 ? at(in, i + 2) << 8 | at(in, i + 3) : length);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const role self = data[0] & 1 ? role::client : role::server;
    std::string octets(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (self == role::server && data[0] & 8) clear_masks(octets);
    const outcome expected = model().run(octets, self);

    parser subject(self, limits);
    recorder got;
    std::optional<parser_failure> failure;
    std::size_t step = 1 + (data[0] >> 4) * 5;
    std::string_view rest = octets;
    while (!rest.empty()) {
        // Memory of its own size, so that a sanitizer sees every step outside.
        std::vector<char> piece(rest.begin(), rest.begin() + std::min(step, rest.size()));
        rest.remove_prefix(piece.size());
        failure = subject.feed(piece, got);
        step = step % 77 + 1;
    }
    const int code = failure ? static_cast<int>(failure->code) : 0;
    if (got.seen.events != expected.events || code != expected.failure) std::abort();
    return 0;
}
