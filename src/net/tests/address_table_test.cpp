// Connections by address: how many, how fast, and how little is kept of those that are gone.
#include "net/address_table.hpp"

#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <gtest/gtest.h>

namespace foz::net {
namespace {

using namespace std::chrono_literals;

boost::asio::ip::address at(const std::string& text) {
    return boost::asio::ip::make_address(text);
}

const steady_time start = steady_time{} + 1h;

// "taken", or why not; keeps the slot.
std::string come(address_table& table, const std::string& from, std::vector<slot>& kept, steady_time now = start) {
    const auto pool = table.arrive(at(from), now);
    if (!pool) return pool.error() == address_refusal::arrivals ? "arrivals" : "connections";
    kept.push_back(slot::take(*pool));
    return kept.back() ? "taken" : "none left";
}

}  // namespace

TEST(address_table, bounds_the_connections_of_an_address) {
    address_table table({.connections_max = 2, .arrivals_per_second = 0});
    std::vector<slot> first, other;
    EXPECT_EQ(come(table, "192.0.2.7", first), "taken");
    EXPECT_EQ(come(table, "::ffff:192.0.2.7", first), "taken");  // the same
    EXPECT_EQ(come(table, "192.0.2.7", first), "connections");
    EXPECT_EQ(come(table, "192.0.2.8", other), "taken");
    first.pop_back();
    EXPECT_EQ(come(table, "192.0.2.7", first), "taken");
}

TEST(address_table, takes_an_ipv6_network_of_64_bits_for_one) {
    address_table table({.connections_max = 1, .arrivals_per_second = 0});
    std::vector<slot> kept;
    EXPECT_EQ(come(table, "2001:db8:0:1::1", kept), "taken");
    EXPECT_EQ(come(table, "2001:db8:0:1:ffff::2", kept), "connections");
    EXPECT_EQ(come(table, "2001:db8:0:2::1", kept), "taken");
}

TEST(address_table, bounds_the_rate_at_which_they_come) {
    address_table table({.connections_max = 100, .arrivals_per_second = 10});
    std::vector<slot> kept;
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(table.comes_too_fast(at("192.0.2.7").address(), start));
        EXPECT_EQ(come(table, "192.0.2.7", kept), "taken");
    }
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(table.comes_too_fast(at("192.0.2.7").address(), start));
    EXPECT_FALSE(table.comes_too_fast(at("192.0.2.8").address(), start));
    EXPECT_FALSE(table.comes_too_fast(at("192.0.2.7").address(), start + 100ms));
    EXPECT_EQ(come(table, "192.0.2.7", kept), "arrivals");
    EXPECT_EQ(come(table, "192.0.2.8", kept), "taken");
    kept.clear();  // also when they are gone again
    EXPECT_EQ(come(table, "192.0.2.7", kept), "arrivals");
    EXPECT_EQ(come(table, "192.0.2.7", kept, start + 100ms), "taken");
    EXPECT_EQ(come(table, "192.0.2.7", kept, start + 100ms), "arrivals");
    for (int i = 0; i < 10; ++i) EXPECT_EQ(come(table, "192.0.2.7", kept, start + 10s), "taken");
    EXPECT_EQ(come(table, "192.0.2.7", kept, start + 10s), "arrivals");
}

TEST(address_table, does_not_limit_this_machine) {
    address_table table({.connections_max = 1, .arrivals_per_second = 1});
    std::vector<slot> kept;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(come(table, "127.0.0.1", kept), "taken");
    for (int i = 0; i < 5; ++i) EXPECT_EQ(come(table, "::1", kept), "taken");
}

TEST(address_table, forgets_whom_it_has_nothing_to_remember_of) {
    address_table table({.connections_max = 1, .arrivals_per_second = 10});
    std::vector<slot> stays, gone;
    EXPECT_EQ(come(table, "192.0.2.7", stays), "taken");
    for (unsigned i = 0; i < 100'000; ++i) {
        // A thousand new addresses a second.
        EXPECT_EQ(come(table, boost::asio::ip::address_v4(0x0a000000 + i).to_string(), gone, start + i * 1ms), "taken");
        gone.clear();
    }
    EXPECT_LT(table.size(), 16u * 520u);
    EXPECT_EQ(come(table, "192.0.2.7", stays, start + 200s), "connections");  // who is there is remembered
}

TEST(address_table, tells_once_when_nearly_all_come_from_one_address) {
    address_table table({.connections_max = 10'000, .arrivals_per_second = 0});
    std::vector<slot> kept;
    for (int i = 0; i < 999; ++i) come(table, "127.0.0.1", kept);
    EXPECT_FALSE(table.find_crowd());  // too few
    for (unsigned i = 0; i < 200; ++i) come(table, boost::asio::ip::address_v4(0x0a000000 + i).to_string(), kept);
    EXPECT_FALSE(table.find_crowd());  // too many others
    for (int i = 0; i < 1'000; ++i) come(table, "127.0.0.1", kept);
    const auto found = table.find_crowd();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->address, "127.0.0.1");
    EXPECT_EQ(found->connections, 1'999u);
    EXPECT_EQ(found->all, 2'199u);
    EXPECT_FALSE(table.find_crowd());
}

}  // namespace foz::net
