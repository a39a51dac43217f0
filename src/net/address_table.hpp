// How many connections there are from each address, and how fast they come: for all shards of a process together.
#pragma once

#include "base/clock.hpp"
#include "net/slots.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include <boost/asio/ip/address.hpp>

namespace foz::net {

struct address_limits {
    std::size_t connections_max = 10'000;
    // Connections a second; so many may come at once. 0: at any rate.
    std::size_t arrivals_per_second = 1'000;
};

enum class address_refusal { connections, arrivals };

// An address is an IPv4 address or an IPv6 /64, which is what one customer has (RFC 6177). Addresses of this machine
// are counted, and not limited: behind them may be anybody, by way of a proxy that nobody has named.
//
// From any thread; an arrival and a departure lock one of some parts. Bounded: an address without connections is
// forgotten as soon as its rate says nothing any more, within a second, so that there are no more than connections and
// arrivals of one second.
class address_table {
public:
    // `all`: what the pools of addresses are below of (slot::nest). May be null.
    explicit address_table(address_limits limits, std::shared_ptr<slot_pool> all = nullptr)
        : limits_(limits), all_(std::move(all)) {}
    address_table(const address_table&) = delete;
    address_table& operator=(const address_table&) = delete;

    // Somebody comes: the pool of that address, of which a slot is to be taken for as long as he stays.
    std::expected<std::shared_ptr<slot_pool>, address_refusal> arrive(const boost::asio::ip::address& from,
                                                                      steady_time now);

    // Would it be refused for its rate? Counts nothing.
    bool comes_too_fast(const boost::asio::ip::address& from, steady_time now) const;

    // The address that has the most connections, when it has nearly all of them and they are many, and it was not told
    // before: as behind a proxy. Looks at everything, so it is for who asks now and then.
    struct crowd {
        std::string address;  // "192.0.2.7" or "2001:db8::/64"
        std::size_t connections;
        std::size_t all;
    };
    std::optional<crowd> find_crowd();

    // Addresses that are kept.
    std::size_t size() const;

private:
    // Of an address: IPv4 as its mapped IPv6 one, IPv6 without its lower half.
    using key = std::array<std::uint8_t, 16>;
    struct key_hash {
        std::size_t operator()(const key& one) const noexcept;
    };
    struct entry {
        std::shared_ptr<slot_pool> pool;
        double credit = 0;  // arrivals that may come at once
        steady_time at{};   // as of then
    };
    struct part {
        mutable std::mutex mutex;
        std::unordered_map<key, entry, key_hash> entries;
        std::size_t sweep_at = 256;
    };

    static key key_of(const boost::asio::ip::address& from);
    static std::string text_of(const key& one);
    double burst() const noexcept { return static_cast<double>(limits_.arrivals_per_second); }
    double credit_at(const entry& of, steady_time now) const noexcept;
    void sweep(part& of, steady_time now) const;

    static constexpr std::size_t crowd_min = 1'000;  // connections
    static constexpr std::size_t parts = 16;

    const address_limits limits_;
    const std::shared_ptr<slot_pool> all_;
    std::array<part, parts> parts_;
    bool crowd_told_ = false;  // find_crowd()'s own
};

}  // namespace foz::net
