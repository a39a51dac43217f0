#include "ops/config/memory_budget.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace foz::ops {
namespace {

constexpr std::uint64_t mega = 1024 * 1024;
// Of what there is for the process, since the kernel's buffers for sockets count, too, and the allocator keeps some.
constexpr std::uint64_t budget_percent = 60;
constexpr std::uint64_t budget_unknown = 1024 * mega;
// For the program itself and for connections that do nothing.
constexpr std::uint64_t reserve_max = 64 * mega;

enum class for_each : std::uint8_t { loop, durable_channel };

struct share {
    const char* path;
    std::uint64_t permille;
    for_each of;
    std::uint64_t max;           // of one; more helps nobody
    std::uint64_t quarters = 4;  // so many of it are used for each octet of the limit
    std::size_t& (*where)(aggregator::settings&);
};

// What is left is for what has no limit of its own, such as messages that have begun.
constexpr std::array shares{
    share{"limits.publish_waiting_bytes", 150, for_each::loop, 64 * mega, 4,
          [](aggregator::settings& s) -> std::size_t& { return s.publishing.pending_octets_limit; }},
    share{"limits.loop_queue_bytes", 250, for_each::loop, 256 * mega, 4,
          [](aggregator::settings& s) -> std::size_t& { return s.shard_queue_bytes_max; }},
    share{"limits.answer_bytes", 100, for_each::loop, 128 * mega, 4,
          [](aggregator::settings& s) -> std::size_t& { return s.unread_bytes_max; }},
    share{"limits.kept_answer_bytes", 60, for_each::loop, 64 * mega, 6,
          [](aggregator::settings& s) -> std::size_t& { return s.kept_answer_bytes_max; }},
    share{"limits.recent_bytes", 150, for_each::durable_channel, 16 * mega, 4,
          [](aggregator::settings& s) -> std::size_t& { return s.recent_bytes_max; }},
    share{"limits.reader_bytes", 80, for_each::durable_channel, 32 * mega, 4,
          [](aggregator::settings& s) -> std::size_t& { return s.reader_bytes_max; }},
    share{"limits.catch_up_bytes", 60, for_each::durable_channel, 16 * mega, 4,
          [](aggregator::settings& s) -> std::size_t& { return s.catch_up_bytes_max; }},
};

std::uint64_t count_of(for_each what, const configuration& all, unsigned loops) {
    if (what == for_each::loop) return std::max(loops, 1u);
    const auto durable = std::ranges::count(all.server.channels, contract::delivery_kind::durable,
                                            &contract::channel_settings::delivery);
    return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(durable));
}

std::uint64_t reserve_of(std::uint64_t budget) {
    return std::min(budget / 5, reserve_max);
}

std::string in_megabytes(std::uint64_t octets) {
    return std::to_string(octets / mega) + " MiB";
}

}  // namespace

bool is_share_of_memory(const std::string& path) {
    return std::ranges::any_of(shares, [&](const share& one) { return path == one.path; });
}

std::uint64_t memory_committed(const configuration& all, unsigned loops) {
    configuration copy = all;
    std::uint64_t sum = reserve_of(all.server.memory_bytes_max);
    for (const share& one : shares) sum += one.where(copy.server) * one.quarters / 4 * count_of(one.of, all, loops);
    return sum;
}

std::string divide_memory(configuration& all, const budget_terms& terms,
                          const std::function<bool(const std::string&)>& said) {
    std::uint64_t& budget = all.server.memory_bytes_max;
    if (budget == 0) budget = terms.memory == 0 ? budget_unknown : terms.memory / 100 * budget_percent;
    const std::uint64_t divisible = budget - reserve_of(budget);
    for (const share& one : shares) {
        if (said(one.path)) continue;
        const std::uint64_t part =
            divisible / 1'000 * one.permille / count_of(one.of, all, terms.loops) * 4 / one.quarters;
        one.where(all.server) = std::min(part, one.max);
    }
    // Whoever says how much the process may have means the broker inside it, too.
    if (all.uses_embedded() && said("limits.memory_bytes") && !said("embedded.memory_bytes"))
        all.embedded.memory_bytes = budget / 3 * 2;
    const std::uint64_t sum = memory_committed(all, terms.loops);
    if (sum <= budget) return {};
    return "limits.memory_bytes is " + in_megabytes(budget) + ", and the limits that were said come to " +
           in_megabytes(sum) + " in all: foz refuses clients and messages before it has used so much";
}

}  // namespace foz::ops
