// The body of an HTTP answer that does not lie in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace foz::net {
class shard;
}  // namespace foz::net

namespace foz::ws {

// Read by one connection from its beginning to its end, a piece at a time.
class body_source {
public:
    virtual ~body_source() = default;
    // In octets; does not change.
    virtual std::uint64_t size() const noexcept = 0;
    // Reads the next octets, at most so many, and calls `done` with them on the shard, never from inside; with none
    // when they can't be had. Not called again before that.
    virtual void read(net::shard& home, std::size_t octets_max, std::move_only_function<void(std::string)> done) = 0;
};

}  // namespace foz::ws
