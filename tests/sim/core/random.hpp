// Seeded randomness: one stream for each consumer, so that a change of one does not move the others.
#pragma once

#include "base/random.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace foz::sim {

using duration = std::chrono::nanoseconds;

// xoshiro256**, seeded by splitmix64: the same on every machine.
class rng final : public random_source {
public:
    explicit rng(std::uint64_t seed) {
        for (std::uint64_t& word : state_) {
            seed += 0x9e3779b97f4a7c15;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }

    std::uint64_t next() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }
    void fill(std::span<std::uint8_t> out) override {
        while (!out.empty()) {
            const std::uint64_t word = next();
            const std::size_t size = std::min<std::size_t>(out.size(), sizeof word);
            std::memcpy(out.data(), &word, size);
            out = out.subspan(size);
        }
    }

    // In [0, bound); the bias of the modulus does not matter here.
    std::uint64_t pick(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
    std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept { return low + pick(high - low + 1); }
    duration between(duration low, duration high) noexcept {
        return low + duration(static_cast<std::int64_t>(pick(static_cast<std::uint64_t>((high - low).count()) + 1)));
    }
    bool chance(unsigned permille) noexcept { return pick(1000) < permille; }
    // Every order of magnitude between the two is as likely as every other.
    std::uint64_t magnitude(std::uint64_t low, std::uint64_t high) noexcept {
        const int from = static_cast<int>(std::bit_width(low)), to = static_cast<int>(std::bit_width(high));
        const int bits = from + static_cast<int>(pick(static_cast<std::uint64_t>(to - from) + 1));
        const std::uint64_t top = bits == 0 ? 0 : std::uint64_t{1} << (bits - 1);
        return std::clamp(top + pick(top + 1), low, high);
    }
    template <class T>
    const T& one_of(const std::vector<T>& all) noexcept {
        return all[pick(all.size())];
    }

private:
    std::uint64_t state_[4]{};
};

// Drawn from the seed in this order, which is only ever appended to.
struct random_streams {
    explicit random_streams(std::uint64_t seed) : parent(seed) {}

    rng parent;
    rng parameters{parent.next()};
    rng network{parent.next()};
    rng workload{parent.next()};
    rng scheduling{parent.next()};
    rng faults{parent.next()};
    rng product{parent.next()};  // what aggregators and the broker draw
    rng clients{parent.next()};
    rng services{parent.next()};
    rng broker{parent.next()};  // how it starts
};

}  // namespace foz::sim
