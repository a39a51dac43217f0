#include "base/random.hpp"

#include "base/encoding.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/random.h>

namespace foz {

std::uint64_t random_source::below(std::uint64_t bound) {
    // Rejection keeps the distribution uniform: values past the last whole multiple of bound are drawn again.
    const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (;;) {
        std::array<std::uint8_t, 8> octets{};
        fill(octets);
        std::uint64_t value = 0;
        std::memcpy(&value, octets.data(), sizeof value);
        if (value < limit) return value % bound;
    }
}

std::string random_source::token(unsigned bits) {
    std::string octets(bits / 8, '\0');
    fill({reinterpret_cast<std::uint8_t*>(octets.data()), octets.size()});
    return base64url(octets);
}

namespace {

class kernel_random final : public random_source {
public:
    void fill(std::span<std::uint8_t> out) override {
        while (!out.empty()) {
            const ssize_t got = ::getrandom(out.data(), out.size(), 0);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) std::abort();  // no kernel of the last decade fails here
            out = out.subspan(static_cast<std::size_t>(got));
        }
    }
};

}  // namespace

random_source& system_random() {
    static kernel_random instance;
    return instance;
}

}  // namespace foz
