// Whether the process has as much memory as it may. No I/O.
#pragma once

#include <cstdint>

namespace foz::aggregator {

// The limits of what waits keep the process below its budget; the guard is for what they don't count: messages that
// have begun, sockets, what the allocator keeps. Judged by the resident memory.
class memory_guard {
public:
    enum class state : std::uint8_t {
        fine,
        tight,     // from 85 in a hundred of the budget on, until 80 are left: nothing new is taken on
        critical,  // from nine tenths on: what can be done without is let go
    };

    explicit memory_guard(std::uint64_t budget) noexcept : budget_(budget) {}

    state look(std::uint64_t resident) noexcept {
        if (budget_ == 0) return state::fine;
        const std::uint64_t percent = resident / (budget_ / 100 + 1);
        tight_ = percent >= (tight_ ? 80 : 85);
        return percent >= 90 ? state::critical : tight_ ? state::tight : state::fine;
    }

private:
    const std::uint64_t budget_;
    bool tight_ = false;
};

}  // namespace foz::aggregator
