// Randomness is passed in, so that tests and simulations own it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace foz {

class random_source {
public:
    virtual ~random_source() = default;
    virtual void fill(std::span<std::uint8_t> out) = 0;

    // Uniform in [0, bound); bound > 0.
    std::uint64_t below(std::uint64_t bound);
    // `bits` random bits (a multiple of 8) as base64url without padding; 128 bits give 22 characters.
    std::string token(unsigned bits = 128);
};

// The kernel's generator (getrandom(2)); stateless, usable from any thread.
random_source& system_random();

}  // namespace foz
