#include "net/descriptors.hpp"

#include <algorithm>
#include <sys/resource.h>

namespace foz::net {
namespace {

constexpr std::uint64_t reserve_of_process = 64;
constexpr std::uint64_t reserve_of_shard = 24;  // its loop, its listeners and the refusals that are under way

}  // namespace

descriptor_limits raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
    descriptor_limits limits{.before = limit.rlim_cur, .now = limit.rlim_cur};
    if (limit.rlim_cur == limit.rlim_max) return limits;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) limits.now = limit.rlim_cur;
    return limits;
}

std::uint64_t descriptors_for_clients(std::uint64_t limit, unsigned shards) {
    return limit - std::min(reserve_of_process + shards * reserve_of_shard, limit / 2);
}

}  // namespace foz::net
