// The budget of memory: looked at, and kept.
#include "aggregator/shard/aggregator.hpp"
#include "net/machine_memory.hpp"

#include <malloc.h>
#include <string>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::chrono::milliseconds look_interval{50};
// What was freed is asked back from the allocator no more often.
constexpr std::chrono::milliseconds trim_interval{1'000};

}  // namespace

void aggregator::look_at_memory() {
    if (settings_.memory_bytes_max == 0) return;
    memory_timer_.start(cores_.at(0).wheel(), look_interval);
    const memory_guard::state now = guard_.look(net::resident_bytes());
    const bool tight = now != memory_guard::state::fine;
    if (front_state_.short_of_memory.exchange(tight) != tight) {
        counters_.short_of_memory += tight;
        events_.on_notice(tight ? "nearly all of limits.memory_bytes is in use: new clients and messages are refused"
                                : "there is memory again");
    }
    if (!tight) return;
    if (now == memory_guard::state::critical) for_each_core([](gateway& way, const ws::server&) { way.shed(); });
    const steady_time at = cores_.at(0).time().now();
    if (at - memory_trimmed_at_ < trim_interval) return;
    memory_trimmed_at_ = at;
    ::malloc_trim(0);
}

}  // namespace foz::aggregator
