// PROXY protocol heads: golden octets of haproxy's specification, split everywhere, broken everywhere; and the reading
// of one from a socket.
#include "net/proxy_protocol.hpp"

#include "net/listener.hpp"
#include "net/runtime.hpp"

#include <array>
#include <string>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace foz::net {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

// Version 2 with this command, family and block.
std::string binary(char command, char family, const std::string& block) {
    const auto size = static_cast<unsigned>(block.size());
    return signature + command + family + static_cast<char>(size >> 8) + static_cast<char>(size & 0xff) + block;
}
const std::string four = "\xc0\x00\x02\x07\x0a\x00\x00\x01\xdd\xd5\x01\xbb"s;  // 192.0.2.7:56789 to 10.0.0.1:443
const std::string six = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"s + std::string(15, '\0') + "\x01\xdd\xd5\x01\xbb"s;

std::string tlv(char type, const std::string& content) {
    return std::string{type, static_cast<char>(content.size() >> 8), static_cast<char>(content.size() & 0xff)} +
           content;
}

// What is read of these octets: "192.0.2.7:56789", "own", "more", or the error.
std::string read(std::string_view octets) {
    const auto head = parse_proxy_head(octets);
    if (!head) return make_error_code(head.error()).message();
    if (!*head) return "more";
    EXPECT_LE((*head)->size, octets.size());
    if (!(*head)->from) return "own";
    const auto address = (*head)->from->address().to_string();
    return address + ":" + std::to_string((*head)->from->port());
}

const std::string malformed = make_error_code(proxy_error::malformed).message();
const std::string missing = make_error_code(proxy_error::missing).message();
const std::string unsupported = make_error_code(proxy_error::unsupported).message();
const std::string too_long = make_error_code(proxy_error::too_long).message();
const std::string bad_checksum = make_error_code(proxy_error::bad_checksum).message();

}  // namespace

TEST(proxy_protocol, lines_of_version_1) {
    EXPECT_EQ(read("PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\nGET /"), "192.0.2.7:56789");
    EXPECT_EQ(parse_proxy_head("PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\nGET /").value()->size, 41u);
    EXPECT_EQ(read("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535");
    EXPECT_EQ(read("PROXY TCP6 2001:db8::7 ::1 0 443\r\n"), "2001:db8::7:0");
    EXPECT_EQ(read("PROXY UNKNOWN\r\n"), "own");
    EXPECT_EQ(read("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), "own");
}

TEST(proxy_protocol, anything_else_in_a_line_is_malformed) {
    for (const char* line :
         {"PROXY TCP4 192.0.2.7 10.0.0.1 56789\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 56789 443 \r\n",
          "PROXY TCP4  192.0.2.7 10.0.0.1 56789 443\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 56789 0443\r\n",
          "PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n",
          "PROXY TCP4 192.0.2.07 10.0.0.1 1 443\r\n", "PROXY TCP4 2001:db8::7 10.0.0.1 1 443\r\n",
          "PROXY TCP6 192.0.2.7 10.0.0.1 1 443\r\n", "PROXY TCP6 fe80::1%lo ::1 1 443\r\n",
          "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 host.example 10.0.0.1 1 443\r\n", "PROXY \r\n",
          "PROXY TCP4\r\n", "PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n\r\n"})
        EXPECT_EQ(read(line), malformed) << line;
    EXPECT_EQ(read("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n"), "own");  // 107 octets in all
    EXPECT_EQ(read("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n"), too_long);
    EXPECT_EQ(read("PROXY UNKNOWN " + std::string(200, 'x')), too_long);
}

TEST(proxy_protocol, heads_of_version_2) {
    EXPECT_EQ(read(binary('\x21', '\x11', four)), "192.0.2.7:56789");
    EXPECT_EQ(read(binary('\x21', '\x11', four) + "\x16\x03\x01"), "192.0.2.7:56789");
    EXPECT_EQ(parse_proxy_head(binary('\x21', '\x11', four) + "rest").value()->size, 28u);
    EXPECT_EQ(read(binary('\x21', '\x21', six)), "2001:db8::7:56789");
    // LOCAL, whatever family and block say; no address of the Internet.
    EXPECT_EQ(read(binary('\x20', '\x00', "")), "own");
    EXPECT_EQ(read(binary('\x20', '\x11', four)), "own");
    EXPECT_EQ(read(binary('\x20', '\x7f', "nonsense")), "own");
    EXPECT_EQ(read(binary('\x21', '\x00', "")), "own");
    EXPECT_EQ(read(binary('\x21', '\x31', std::string(216, 'u'))), "own");
    EXPECT_EQ(read(binary('\x21', '\x12', four)), "own");
    // Too little for the family.
    EXPECT_EQ(read(binary('\x21', '\x11', four.substr(1))), malformed);
    EXPECT_EQ(read(binary('\x21', '\x21', six.substr(1))), malformed);
    EXPECT_EQ(read(binary('\x21', '\x31', std::string(215, 'u'))), malformed);
    EXPECT_EQ(read(binary('\x11', '\x11', four)), unsupported);
    EXPECT_EQ(read(binary('\x22', '\x11', four)), unsupported);
    EXPECT_EQ(read(binary('\x21', '\x41', four)), unsupported);
    EXPECT_EQ(read(binary('\x21', '\x13', four)), unsupported);
    EXPECT_EQ(read(binary('\x20', '\x00', std::string(proxy_head_bytes_max - 16, '\0'))), "own");
    EXPECT_EQ(read(binary('\x20', '\x00', std::string(proxy_head_bytes_max - 15, '\0'))), too_long);
}

TEST(proxy_protocol, tlvs_are_passed_over_and_a_checksum_is_checked) {
    EXPECT_EQ(read(binary('\x21', '\x11', four + tlv('\x01', "h2") + tlv('\xea', std::string(300, 'v')))),
              "192.0.2.7:56789");
    EXPECT_EQ(read(binary('\x21', '\x11', four + tlv('\x04', ""))), "192.0.2.7:56789");
    EXPECT_EQ(read(binary('\x21', '\x11', four + "\x01"s)), malformed);
    EXPECT_EQ(read(binary('\x21', '\x11', four + "\x01\x00\x02x"s)), malformed);
    EXPECT_EQ(read(binary('\x21', '\x11', four + tlv('\x03', "abc"))), malformed);
    // Computed with another implementation (Python, bit by bit), beside a TLV that it covers.
    const std::string checked = four + tlv('\x03', "\xd2\x06\x24\x1b"s) + tlv('\x02', "app.example");
    EXPECT_EQ(read(binary('\x21', '\x11', checked)), "192.0.2.7:56789");
    for (std::size_t i = 0; i < checked.size(); ++i) {
        if (i == four.size()) continue;  // then it is a TLV of another type
        std::string broken = checked;
        broken[i] = static_cast<char>(broken[i] ^ 1);
        EXPECT_NE(read(binary('\x21', '\x11', broken)), "192.0.2.7:56789") << i;
    }
    std::string wrong = checked;
    wrong.back() = 'x';
    EXPECT_EQ(read(binary('\x21', '\x11', wrong)), bad_checksum);
}

TEST(proxy_protocol, a_beginning_needs_more_and_something_else_is_no_head) {
    for (const std::string& whole : {"PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\n"s, "PROXY UNKNOWN\r\n"s,
                                     binary('\x21', '\x11', four + tlv('\x01', "h2")), binary('\x20', '\x00', "")})
        for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_EQ(read(whole.substr(0, size)), "more") << size;
    for (const std::string& other :
         {"GET / HTTP/1.1\r\n"s, "\x16\x03\x01\x02"s, "AMQP\0\0\x09\x01"s, "PROXX"s, "\r\n\r\nx"s, "\r\nGET"s})
        EXPECT_EQ(read(other), missing) << other;
}

TEST(proxy_protocol, a_head_that_nobody_expects_is_known_by_its_first_octets) {
    EXPECT_TRUE(begins_with_proxy_head("PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\n"));
    EXPECT_TRUE(begins_with_proxy_head("PROXY UNKNOWN\r\n"));
    EXPECT_TRUE(begins_with_proxy_head(binary('\x21', '\x11', four)));
    EXPECT_FALSE(begins_with_proxy_head("PROXY /x HTTP/1.1\r\n"));
    EXPECT_FALSE(begins_with_proxy_head("\r\n\r\nGET / HTTP/1.1\r\n"));
    for (std::size_t size = 1; size < signature.size(); ++size)
        EXPECT_TRUE(may_begin_proxy_head(signature.substr(0, size)));
    EXPECT_FALSE(may_begin_proxy_head(""));
    EXPECT_FALSE(may_begin_proxy_head(signature));
    EXPECT_FALSE(may_begin_proxy_head("\r\nG"));
}

namespace {

// What reading a head from a socket comes to when the peer writes these pieces, one for each turn.
struct reading {
    explicit reading(std::vector<std::string> pieces, bool hang_up = false) {
        auto accepting = listener::open(cores.at(0), {}, [&](tcp::socket socket) {
            read_proxy_head(
                cores.at(0), std::move(socket), 300ms, [&](error_code why, tcp::socket arrived, tcp::endpoint whom) {
                    error = why;
                    from = whom;
                    std::array<char, 64> octets;
                    const ssize_t size = ::recv(arrived.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT);
                    if (size > 0) rest.assign(octets.data(), static_cast<std::size_t>(size));
                    cores.stop();
                });
        });
        tcp::socket peer(cores.at(0).context());
        peer.connect({asio::ip::make_address("127.0.0.1"), (*accepting)->port()});
        own = peer.local_endpoint();
        write_next(peer, pieces, 0, hang_up);
        limit.start(cores.at(0).wheel(), 10s);
        cores.run();
    }
    void write_next(tcp::socket& peer, const std::vector<std::string>& pieces, std::size_t at, bool hang_up) {
        if (at == pieces.size()) {
            if (hang_up) peer.shutdown(tcp::socket::shutdown_send);
            return;
        }
        asio::write(peer, asio::buffer(pieces[at]));
        cores.at(0).post([=, this, &peer, &pieces] { write_next(peer, pieces, at + 1, hang_up); });
    }

    runtime cores{1};
    wheel_timer limit{&cores, [](runtime& all) { all.stop(); }};
    error_code error = asio::error::would_block;  // not called
    tcp::endpoint from, own;
    std::string rest;
};

std::vector<std::string> octets_of(const std::string& text) {
    std::vector<std::string> out;
    for (const char c : text) out.emplace_back(1, c);
    return out;
}

}  // namespace

TEST(proxy_protocol, a_socket_is_read_up_to_the_end_of_the_head) {
    for (const std::string& head : {"PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\n"s, binary('\x21', '\x11', four)})
        for (const auto& pieces : {std::vector{head + "rest"}, octets_of(head + "rest"), std::vector{head, "rest"s}}) {
            const reading done(pieces);
            EXPECT_FALSE(done.error) << done.error.message();
            EXPECT_EQ(done.from, tcp::endpoint(asio::ip::make_address("192.0.2.7"), 56789));
            EXPECT_TRUE(done.rest.empty() || "rest"s.starts_with(done.rest)) << done.rest;
        }
    const reading local({binary('\x20', '\x00', "") + "rest"});
    EXPECT_FALSE(local.error);
    EXPECT_EQ(local.from, local.own);
    EXPECT_EQ(local.rest, "rest");
}

TEST(proxy_protocol, a_socket_without_a_good_head_is_given_up) {
    EXPECT_EQ(reading({"GET / HTTP/1.1\r\n"}).error, proxy_error::missing);
    EXPECT_EQ(reading({"PROXY TCP4 nonsense\r\n"}).error, proxy_error::malformed);
    EXPECT_EQ(reading({std::string(200, 'x')}).error, proxy_error::missing);
    EXPECT_EQ(reading({"PROXY UNKNOWN " + std::string(200, 'x')}).error, proxy_error::too_long);
    EXPECT_EQ(reading({"PROXY TCP4 "}, true).error, asio::error::eof);
    EXPECT_EQ(reading({"PROXY TCP4 "}).error, asio::error::timed_out);
    EXPECT_EQ(reading({}).error, asio::error::timed_out);
}

}  // namespace foz::net
