// Ranges of IP addresses: whose word is taken.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

namespace foz::net {

// "10.0.0.0/8", "2001:db8::/32", or a single address.
class network_list {
public:
    // Entries that have a flaw are left out.
    explicit network_list(const std::vector<std::string>& entries = {}) {
        for (const std::string& entry : entries) add(entry);
    }

    // An IPv4 address that comes as an IPv6 one (RFC 4291 §2.5.5.2) is the IPv4 address.
    bool contains(const boost::asio::ip::address& address) const {
        namespace ip = boost::asio::ip;
        if (address.is_v6() && address.to_v6().is_v4_mapped())
            return contains_v4(ip::make_address_v4(ip::v4_mapped, address.to_v6()));
        if (address.is_v4()) return contains_v4(address.to_v4());
        return std::any_of(v6_.begin(), v6_.end(), [six = address.to_v6()](const ip::network_v6& one) {
            return ip::network_v6(ip::address_v6(six.to_bytes()), one.prefix_length()).canonical() == one.canonical();
        });
    }

    // What is wrong with an entry, or empty.
    static std::string flaw(const std::string& entry) {
        network_list tried;
        return tried.add(entry) ? "" : "an IP address or ADDRESS/BITS is expected, not " + entry;
    }

private:
    bool add(const std::string& entry) {
        namespace ip = boost::asio::ip;
        boost::system::error_code error;
        const bool whole = entry.find('/') == std::string::npos;
        if (entry.find(':') == std::string::npos) {
            const auto made = ip::make_network_v4(whole ? entry + "/32" : entry, error);
            if (!error) v4_.push_back(made);
        } else {
            const auto made = ip::make_network_v6(whole ? entry + "/128" : entry, error);
            if (!error) v6_.push_back(made);
        }
        return !error;
    }
    bool contains_v4(const boost::asio::ip::address_v4& four) const {
        using boost::asio::ip::network_v4;
        return std::any_of(v4_.begin(), v4_.end(), [&](const network_v4& one) {
            return network_v4(four, one.prefix_length()).canonical() == one.canonical();
        });
    }

    std::vector<boost::asio::ip::network_v4> v4_;
    std::vector<boost::asio::ip::network_v6> v6_;
};

}  // namespace foz::net
