#include "ops/admin/attempts.hpp"

#include <algorithm>

namespace foz::ops {

attempts::key attempts::key_of(const boost::asio::ip::address& from) {
    namespace ip = boost::asio::ip;
    if (from.is_v4()) return ip::make_address_v6(ip::v4_mapped, from.to_v4()).to_bytes();
    key octets = from.to_v6().to_bytes();
    constexpr std::size_t network_octets = 8;  // an IPv6 /64 is one household's
    if (!from.to_v6().is_v4_mapped()) std::fill(octets.begin() + network_octets, octets.end(), std::uint8_t(0));
    return octets;
}

bool attempts::take(const boost::asio::ip::address& from, steady_time now) {
    if (pause(from, now).count() > 0) return false;
    const key of = key_of(from);
    const auto known = by_key_.find(of);
    if (known != by_key_.end()) {
        recent_.splice(recent_.begin(), recent_, known->second);
    } else {
        if (recent_.size() >= limits_.addresses_max) {
            by_key_.erase(recent_.back().of);
            recent_.pop_back();
        }
        recent_.push_front({.of = of, .full_at = now});
        by_key_.emplace(of, recent_.begin());
    }
    bucket& own = recent_.front();
    own.full_at = std::max(own.full_at, now) + limits_.interval;
    return true;
}

void attempts::give_back(const boost::asio::ip::address& from) {
    if (const auto known = by_key_.find(key_of(from)); known != by_key_.end())
        known->second->full_at -= limits_.interval;
}

std::chrono::milliseconds attempts::pause(const boost::asio::ip::address& from, steady_time now) const {
    const auto known = by_key_.find(key_of(from));
    if (known == by_key_.end()) return {};
    const auto most = limits_.interval * (limits_.burst - 1);
    const auto missing = known->second->full_at - now;
    return missing <= most ? std::chrono::milliseconds(0)
                           : std::chrono::ceil<std::chrono::milliseconds>(missing - most);
}

}  // namespace foz::ops
