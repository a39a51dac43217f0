// How often an address may try a login.
#pragma once

#include "base/clock.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include <boost/asio/ip/address.hpp>

namespace foz::ops {

struct attempt_limits {
    unsigned burst = 10;
    std::chrono::milliseconds interval = std::chrono::seconds(6);  // one more after each
    // Addresses that are remembered; beyond, the one that tried longest ago is forgotten.
    std::size_t addresses_max = 4'096;
};

// A token bucket for each address; an IPv6 /64 counts as one address. Lives on one shard.
class attempts {
public:
    explicit attempts(attempt_limits limits = {}) : limits_(limits) {}

    // One attempt begins. False when the address has none left.
    bool take(const boost::asio::ip::address& from, steady_time now);
    // It was a good one, or never took place.
    void give_back(const boost::asio::ip::address& from);
    // Until the address has one again; 0: it has.
    std::chrono::milliseconds pause(const boost::asio::ip::address& from, steady_time now) const;
    std::size_t addresses() const noexcept { return recent_.size(); }

private:
    using key = std::array<std::uint8_t, 16>;
    struct bucket {
        key of;
        steady_time full_at;  // when nothing will be missing any more
    };

    static key key_of(const boost::asio::ip::address& from);

    const attempt_limits limits_;
    std::list<bucket> recent_;  // the latest first
    std::map<key, std::list<bucket>::iterator> by_key_;
};

}  // namespace foz::ops
