// Parser and assembler: the same octets in one piece and in two other splits give the same events, and what was decoded
// encodes to what decodes to the same. Input: octet 0 bit 0 is the role (1: server), octet 1 seeds the splits.
#include "amqp/codec/content.hpp"
#include "amqp/codec/encode.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

namespace {

using namespace foz::amqp;

void require(bool condition) {
    if (!condition) std::abort();
}

std::string describe(const frame_error& error) {
    return "error " + std::to_string(static_cast<int>(error.code)) + " " + reply_text(error);
}

// Encodes the message and decodes it once more: two encodings must agree (values may hold a NaN, octets do not).
std::string describe(std::uint16_t channel, const message& m) {
    std::string encoded;
    require(encode_method(encoded, channel, m.method).has_value());
    method again;
    const std::string_view payload = std::string_view(encoded).substr(7, encoded.size() - frame_overhead);
    require(decode_method(payload, again).has_value());
    std::string twice;
    require(encode_method(twice, channel, again).has_value());
    require(encoded == twice);
    if (info(m.method).has_content) {
        require(encode_content_frames(encoded, {.channel = channel}, m.properties, m.body).has_value());
    }
    return encoded;
}

class run {
public:
    explicit run(role side) : parser_(side, frame_min_size) {}

    void feed(std::string_view piece) {
        const std::string own(piece);  // an allocation of its own, so that ASan sees a view that lives too long
        std::string_view input = own;
        while (!failed_) {
            const auto next = parser_.next(input);
            if (!next) return stop(next.error());
            if (!*next) return require(input.empty());
            take(**next);
        }
    }
    const std::vector<std::string>& events() const { return events_; }

private:
    void stop(const frame_error& error) {
        failed_ = true;
        events_.push_back(describe(error));
    }

    void take(const frame& f) {
        events_.push_back(std::to_string(static_cast<int>(f.type)) + "/" + std::to_string(f.channel) + "/" +
                          std::string(f.payload));
        if (f.type == frame_type::heartbeat || f.type == frame_type::protocol_header) return;
        const auto done = assemblers_.try_emplace(f.channel, 64 << 10).first->second.feed(f);
        if (!done && scope_of(done.error().code) == error_scope::connection) return stop(done.error());
        if (!done) events_.push_back(describe(done.error()));
        if (done && *done) events_.push_back(describe(f.channel, **done));
    }

    frame_parser parser_;
    std::map<std::uint16_t, content_assembler> assemblers_;
    std::vector<std::string> events_;
    bool failed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const role side = (data[0] & 1) != 0 ? role::server : role::client;
    const std::string_view octets(reinterpret_cast<const char*>(data) + 2, size - 2);

    run whole(side);
    whole.feed(octets);

    run single(side);
    for (std::size_t i = 0; i < octets.size(); ++i) single.feed(octets.substr(i, 1));
    require(single.events() == whole.events());

    run pieces(side);
    std::uint32_t seed = data[1];
    for (std::string_view rest = octets; !rest.empty();) {
        seed = seed * 1664525 + 1013904223;
        const std::size_t piece = std::min<std::size_t>(1 + (seed >> 26), rest.size());
        pieces.feed(rest.substr(0, piece));
        rest.remove_prefix(piece);
    }
    require(pieces.events() == whole.events());
    return 0;
}
