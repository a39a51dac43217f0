#include "net/address_table.hpp"

#include "net/loopback.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include <boost/asio/ip/network_v6.hpp>

namespace foz::net {
namespace {

namespace ip = boost::asio::ip;

}  // namespace

std::size_t address_table::key_hash::operator()(const key& one) const noexcept {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(one.data()), one.size()});
}

address_table::key address_table::key_of(const ip::address& from) {
    if (from.is_v4()) return ip::make_address_v6(ip::v4_mapped, from.to_v4()).to_bytes();
    key out = from.to_v6().to_bytes();
    if (!from.to_v6().is_v4_mapped()) std::fill(out.begin() + 8, out.end(), std::uint8_t(0));
    return out;
}

std::string address_table::text_of(const key& one) {
    const ip::address_v6 six(one);
    return six.is_v4_mapped() ? ip::make_address_v4(ip::v4_mapped, six).to_string()
                              : ip::network_v6(six, 64).to_string();
}

double address_table::credit_at(const entry& of, steady_time now) const noexcept {
    const double seconds = std::chrono::duration<double>(std::max(now - of.at, steady_time::duration(0))).count();
    return std::min(burst(), of.credit + seconds * burst());
}

std::expected<std::shared_ptr<slot_pool>, address_refusal> address_table::arrive(const ip::address& from,
                                                                                 steady_time now) {
    const key address = key_of(from);
    const bool limited = !is_loopback(from);
    part& own = parts_[key_hash()(address) % parts];
    const std::scoped_lock lock(own.mutex);
    if (own.entries.size() >= own.sweep_at) sweep(own, now);
    const auto [at, fresh] = own.entries.try_emplace(address);
    entry& found = at->second;
    if (fresh) {
        const std::size_t most = limited ? limits_.connections_max : std::numeric_limits<std::size_t>::max();
        found = {.pool = std::make_shared<slot_pool>(most, all_), .credit = burst(), .at = now};
    }
    found.credit = credit_at(found, now);
    found.at = now;
    const bool at_any_rate = !limited || limits_.arrivals_per_second == 0;
    if (!at_any_rate && found.credit < 1) return std::unexpected(address_refusal::arrivals);
    // Who is refused has come all the same.
    if (!at_any_rate) found.credit -= 1;
    if (found.pool->used() >= found.pool->max()) return std::unexpected(address_refusal::connections);
    return found.pool;
}

bool address_table::comes_too_fast(const ip::address& from, steady_time now) const {
    if (is_loopback(from) || limits_.arrivals_per_second == 0) return false;
    const key address = key_of(from);
    const part& own = parts_[key_hash()(address) % parts];
    const std::scoped_lock lock(own.mutex);
    const auto at = own.entries.find(address);
    return at != own.entries.end() && credit_at(at->second, now) < 1;
}

// Those of whom nothing is known that a new one would not have.
void address_table::sweep(part& of, steady_time now) const {
    std::erase_if(of.entries, [&](const auto& one) {
        const entry& kept = one.second;
        return kept.pool.use_count() == 1 && credit_at(kept, now) >= burst();
    });
    of.sweep_at = std::max<std::size_t>(256, 2 * of.entries.size());
}

std::optional<address_table::crowd> address_table::find_crowd() {
    if (crowd_told_) return std::nullopt;
    std::size_t all = 0, most = 0;
    key whose{};
    for (const part& one : parts_) {
        const std::scoped_lock lock(one.mutex);
        for (const auto& [address, of] : one.entries) {
            const std::size_t used = of.pool->used();
            all += used;
            if (used > most) whose = address;
            most = std::max(most, used);
        }
    }
    if (all < crowd_min || most * 10 < all * 9) return std::nullopt;
    crowd_told_ = true;
    return crowd{.address = text_of(whose), .connections = most, .all = all};
}

std::size_t address_table::size() const {
    std::size_t all = 0;
    for (const part& one : parts_) {
        const std::scoped_lock lock(one.mutex);
        all += one.entries.size();
    }
    return all;
}

}  // namespace foz::net
