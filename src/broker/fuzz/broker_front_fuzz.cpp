// The broker's front, driven as by clients, on a storage that holds it to its contract: whatever comes, the others' and
// the end's invariants hold, and a start on what is left works.
//
// Input: octet 0 bit 0: the rest is what one client sends, from the protocol header on. Otherwise the rest is a list of
// steps for two clients that are logged in: an octet that says what, one for a length, and so many octets. Octet 0's
// other bits seed the splits.
#include "broker/front/tests/rig.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace foz;
using namespace foz::broker;

void require(bool condition) {
    if (!condition) std::abort();
}

class session {
public:
    explicit session(std::uint8_t seed)
        : rig_({.message_bytes_max = 1 << 20, .queued_bytes_max = 8'192, .answers_bytes_max = 32'768}), split_(seed) {}

    void raw(std::string_view octets) {
        client& only = who(0, false);
        while (!octets.empty()) {
            split_ = split_ * 1664525 + 1013904223;
            const std::size_t piece = std::min<std::size_t>(1 + (split_ >> 24), octets.size());
            only.send(octets.substr(0, piece));
            octets.remove_prefix(piece);
        }
        (void)only.read();
    }

    // Bits of `what`: 0 and 1 the channel, 2 the client, 3 to 5 what it is.
    void step(std::uint8_t what, std::string_view payload) {
        client& from = who((what >> 2) & 1, true);
        const std::uint16_t number = what & 3;
        switch ((what >> 3) & 7) {
            case 4:
                return in_pieces(from, frame(2, number, payload));
            case 5:
                return in_pieces(from, frame(3, number, payload));
            case 6:
                return other(from, number, payload);
            case 7:
                return in_pieces(from, payload);
            default:
                return in_pieces(from, frame(1, number, payload));
        }
    }

    void finish() {
        for (const auto& [key, one] : std::unordered_map(rig_.listed))
            require(key->out().size() < rig_.limits.answers_bytes_max + (1 << 20));
        for (auto& one : clients_) {
            if (!one) continue;
            (void)one->read_all();
            if (!one->wire->ended()) one->hang_up();
            one.reset();
        }
        rig_.commit();
        rig_.pass(std::chrono::seconds(30));
        require(rig_.listed.empty());
        for (const auto& [name, one] : rig_.host().queues()) {
            require(one->consumer_count() == 0 && one->unacked_count() == 0);
            require(!one->identity().flags.exclusive);
        }
        require(!rig_.model.has_unused());
        again();
    }

private:
    static std::string frame(int type, std::uint16_t number, std::string_view payload) {
        std::string out;
        amqp::writer to(out);
        to.u8(static_cast<std::uint8_t>(type));
        to.u16(number);
        to.long_string(payload);
        to.u8(0xce);
        return out;
    }

    client& who(std::size_t which, bool open) {
        auto& one = clients_[which];
        if (!one || (open && one->wire->ended())) {
            one.reset();
            one = std::make_unique<client>(rig_);
            if (open) one->open(2, 10);
        }
        return *one;
    }

    void in_pieces(client& from, std::string_view octets) {
        split_ = split_ * 1664525 + 1013904223;
        const std::size_t half = octets.empty() || (split_ >> 31) != 0 ? octets.size() : (split_ >> 8) % octets.size();
        from.send(octets.substr(0, half));
        from.send(octets.substr(half));
    }

    void other(client& from, std::uint16_t what, std::string_view payload) {
        const std::size_t size = payload.empty() ? 0 : static_cast<std::uint8_t>(payload[0]);
        switch (what) {
            case 0:
                return rig_.commit();
            case 1:
                return rig_.pass(std::chrono::milliseconds(size * 40));
            case 2:
                (void)from.read(size * 64);
                return from.push();
            default:
                return from.hang_up();
        }
    }

    // What is on the disk is what a new process finds.
    void again() {
        std::size_t durable = 0;
        for (const auto& [name, one] : rig_.host().queues()) durable += one->identity().flags.durable ? 1 : 0;
        rig_.disk.restart();
        node next(rig_.disk, rig_.time, rig_.random);
        next.start({"/", "other"});
        rig_.disk.erase_unopened();
        next.run_due();
        require(next.find_vhost("/")->queues().size() == durable);
    }

    front_rig rig_;
    std::array<std::unique_ptr<client>, 2> clients_;
    std::uint32_t split_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    session all(data[0]);
    if ((data[0] & 1) != 0) {
        all.raw(input);
    } else {
        for (std::size_t at = 0; at + 2 <= input.size();) {
            const auto what = static_cast<std::uint8_t>(input[at]);
            const auto length = static_cast<std::uint8_t>(input[at + 1]);
            all.step(what, input.substr(at + 2, length));
            at += 2 + std::size_t{length};
        }
    }
    all.finish();
    return 0;
}
