// The same octets whole and in pieces must give the same events; the first octet of the input chooses the role and
// the pieces.
#include "ws/codec/parser.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct recorder final : foz::ws::parser_handler {
    void on_message(foz::ws::opcode kind, std::string_view payload) override {
        note(static_cast<char>('0' + static_cast<int>(kind)), payload);
    }
    void on_ping(std::string_view payload) override { note('i', payload); }
    void on_pong(std::string_view payload) override { note('o', payload); }
    void on_close(foz::ws::close_code code, std::string_view reason) override {
        note('c', std::to_string(static_cast<int>(code)) + std::string(reason));
    }
    void note(char kind, std::string_view payload) {
        all += kind;
        all += std::to_string(payload.size());
        all += ':';
        all += payload;
    }
    std::string all;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto role = data[0] & 1 ? foz::ws::role::client : foz::ws::role::server;
    const std::size_t step = 1 + (data[0] >> 1) % 16;
    const std::string octets(reinterpret_cast<const char*>(data) + 1, size - 1);
    const foz::ws::parser_limits limits{.message_bytes_max = 4096, .fragments_max = 16};

    foz::ws::parser whole(role, limits), pieces(role, limits);
    recorder first, second;
    std::string copy = octets;
    const auto first_failure = whole.feed(copy, first);
    std::optional<foz::ws::parser_failure> second_failure;
    for (std::size_t i = 0; i < octets.size(); i += step) {
        std::string piece = octets.substr(i, step);
        second_failure = pieces.feed(piece, second);
    }
    if (first_failure != second_failure || first.all != second.all) std::abort();
    return 0;
}
