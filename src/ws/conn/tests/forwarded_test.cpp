#include "ws/conn/forwarded.hpp"

#include "net/network_list.hpp"

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using header_list = std::vector<std::pair<std::string, std::string>>;

std::string seen(forwarding kind, header_list headers) {
    http_request request;
    request.headers = std::move(headers);
    const request_origin as = as_forwarded(request, kind, {.secure = false, .host = "inside:8080"});
    return (as.secure ? "https " : "http ") + as.host;
}

}  // namespace

TEST(forwarded, the_nearest_proxy_is_believed) {
    const auto x = [](header_list headers) { return seen(forwarding::x_forwarded, std::move(headers)); };
    EXPECT_EQ(x({}), "http inside:8080");
    EXPECT_EQ(x({{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "app.example"}}), "https app.example");
    EXPECT_EQ(x({{"x-forwarded-proto", "http, HTTPS"}}), "https inside:8080");
    EXPECT_EQ(x({{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "http"}}), "http inside:8080");
    EXPECT_EQ(x({{"X-Forwarded-Host", "a, b:443"}}), "http b:443");
    EXPECT_EQ(x({{"X-Forwarded-Host", "u@h"}, {"X-Forwarded-Proto", "gopher"}}), "http inside:8080");
    EXPECT_EQ(x({{"Forwarded", "proto=https;host=evil"}}), "http inside:8080");
}

TEST(forwarded, as_rfc_7239_says) {
    const auto f = [](header_list headers) { return seen(forwarding::rfc_7239, std::move(headers)); };
    EXPECT_EQ(f({{"Forwarded", "for=192.0.2.60;proto=https;by=203.0.113.43"}}), "https inside:8080");
    EXPECT_EQ(f({{"Forwarded", "for=\"[2001:db8::1]:4711\"; Host=\"app.example:443\"; PROTO=https"}}),
              "https app.example:443");
    EXPECT_EQ(f({{"Forwarded", "proto=https;host=evil"}, {"Forwarded", "proto=http;host=app"}}), "http app");
    EXPECT_EQ(f({{"Forwarded", "for=\"a,b;proto=https\", for=c"}}), "http inside:8080");
    EXPECT_EQ(f({{"Forwarded", "for=\"a\\\"b,c\";proto=https"}}), "https inside:8080");
    EXPECT_EQ(f({{"Forwarded", "host=\"a\\"}}), "http inside:8080");
    EXPECT_EQ(f({{"Forwarded", ";;,=,proto"}}), "http inside:8080");
    EXPECT_EQ(f({{"X-Forwarded-Proto", "https"}}), "http inside:8080");
}

TEST(forwarded, a_quote_that_a_client_leaves_open_swallows_nothing_of_the_proxys) {
    const auto f = [](const std::string& said) { return seen(forwarding::rfc_7239, {{"Forwarded", said}}); };
    const std::string by_proxy = ", for=192.0.2.7;proto=https;host=app.example";
    for (const char* forged :
         {"proto=http;host=evil;x=\"", "host=evil;x=\"a\\", "host=evil;x=\"\\\"", "\"\"\"", "\\\""})
        EXPECT_EQ(f(forged + by_proxy), "https app.example") << forged;
    EXPECT_EQ(f("host=evil;x=\", host=\"app.example:443\""), "http app.example:443");
    EXPECT_EQ(seen(forwarding::x_forwarded, {{"X-Forwarded-Host", "\"evil, app"}, {"X-Forwarded-Proto", "\", https"}}),
              "https app");
}

TEST(network_list, contains_addresses_of_its_ranges) {
    using boost::asio::ip::make_address;
    const net::network_list some({"10.0.0.0/8", "192.168.1.7", "2001:db8::/32", "::1"});
    for (const char* in : {"10.1.2.3", "192.168.1.7", "::ffff:10.9.9.9", "2001:db8:1::5", "::1"})
        EXPECT_TRUE(some.contains(make_address(in))) << in;
    for (const char* out : {"11.0.0.1", "192.168.1.8", "127.0.0.1", "2001:db9::1", "::2", "::ffff:11.0.0.1"})
        EXPECT_FALSE(some.contains(make_address(out))) << out;
    EXPECT_FALSE(net::network_list().contains(make_address("127.0.0.1")));
    for (const char* wrong : {"", "host", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/"})
        EXPECT_NE(net::network_list::flaw(wrong), "") << wrong;
}

namespace {

const net::network_list trusted({"10.0.0.0/8", "2001:db8:ffff::/48", "::1"});

std::string client(forwarding kind, header_list headers, const std::string& peer = "10.0.0.1") {
    http_request request;
    request.headers = std::move(headers);
    return client_address(request, kind, boost::asio::ip::make_address(peer), trusted).to_string();
}
std::string by_x(const std::string& said, const std::string& peer = "10.0.0.1") {
    return client(forwarding::x_forwarded, {{"X-Forwarded-For", said}}, peer);
}
std::string by_rfc(const std::string& said) {
    return client(forwarding::rfc_7239, {{"Forwarded", said}});
}

}  // namespace

TEST(client_address, is_the_last_one_that_is_no_proxy) {
    EXPECT_EQ(by_x("192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(by_x("192.0.2.7, 10.0.0.2, 10.0.0.3"), "192.0.2.7");
    // What a client writes itself stands before what its proxy has seen.
    EXPECT_EQ(by_x("127.0.0.1, 198.51.100.1, 192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(by_x("10.0.0.9, 192.0.2.7, 10.0.0.2"), "192.0.2.7");
    EXPECT_EQ(client(forwarding::x_forwarded, {{"X-Forwarded-For", "198.51.100.1"}, {"x-forwarded-for", "192.0.2.7"}}),
              "192.0.2.7");
    // All are proxies: the farthest.
    EXPECT_EQ(by_x("10.0.0.9, 10.0.0.2"), "10.0.0.9");
}

TEST(client_address, is_the_peer_when_that_is_no_proxy_or_says_nothing) {
    EXPECT_EQ(by_x("192.0.2.7", "192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(client(forwarding::x_forwarded, {}), "10.0.0.1");
    EXPECT_EQ(by_x(""), "10.0.0.1");
    EXPECT_EQ(by_x(" , "), "10.0.0.1");
    EXPECT_EQ(client(forwarding::x_forwarded, {{"Forwarded", "for=192.0.2.7"}}), "10.0.0.1");
    EXPECT_EQ(client(forwarding::rfc_7239, {{"X-Forwarded-For", "192.0.2.7"}}), "10.0.0.1");
}

TEST(client_address, may_have_ports_and_brackets) {
    EXPECT_EQ(by_x("192.0.2.7:4711"), "192.0.2.7");
    EXPECT_EQ(by_x("2001:db8::7"), "2001:db8::7");
    EXPECT_EQ(by_x("[2001:db8::7]"), "2001:db8::7");
    EXPECT_EQ(by_x("[2001:db8::7]:4711, 2001:db8:ffff::1"), "2001:db8::7");
    EXPECT_EQ(by_x("::ffff:192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(by_x("192.0.2.7, ::ffff:10.0.0.2"), "192.0.2.7");
    EXPECT_EQ(by_rfc("for=192.0.2.7;proto=https, for=10.0.0.2"), "192.0.2.7");
    EXPECT_EQ(by_rfc("For=\"[2001:db8::7]:4711\";by=10.0.0.1"), "2001:db8::7");
    EXPECT_EQ(by_rfc("for=\"192.0.2.7:_port\""), "192.0.2.7");
}

TEST(client_address, is_what_the_proxy_says_whatever_quotes_stand_before_it) {
    for (const char* forged : {"\"", "\", 198.51.100.1", "198.51.100.1, \"", "\\\"", "\\"})
        EXPECT_EQ(by_x(forged + std::string(", 192.0.2.7")), "192.0.2.7") << forged;
    for (const char* forged : {"for=198.51.100.1;x=\"", "for=\"198.51.100.1", "\"\\", "x=\"\\\\"})
        EXPECT_EQ(by_rfc(forged + std::string(", for=192.0.2.7, for=\"10.0.0.2:80\"")), "192.0.2.7") << forged;
}

TEST(client_address, ends_at_what_is_no_address) {
    for (const char* said : {"unknown", "_hidden", "garbage", "192.0.2", "192.0.2.7.9", "[192.0.2.7]", "[2001:db8::7",
                             "192.0.2.7:", "192.0.2.7:a b", "fe80::1%eth0", "192.0.2.07", "\"192.0.2.7\"", ""}) {
        EXPECT_EQ(by_x("192.0.2.7, " + std::string(said)), "10.0.0.1") << said;
        EXPECT_EQ(by_x("192.0.2.7, " + std::string(said) + ", 10.0.0.2"), "10.0.0.2") << said;
    }
    EXPECT_EQ(by_rfc("for=192.0.2.7, for=unknown"), "10.0.0.1");
    EXPECT_EQ(by_rfc("for=192.0.2.7, for=_SEVKISEK, for=10.0.0.2"), "10.0.0.2");
    EXPECT_EQ(by_rfc("for=192.0.2.7, proto=https"), "10.0.0.1");
    EXPECT_EQ(by_rfc("for=192.0.2.7, for=\"10.0.0.2"), "10.0.0.1");
}

}  // namespace foz::ws
