#include "client.hpp"

#include "amqp/codec/frame_parser.hpp"
#include "amqp/codec/wire.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace foz::bench {
namespace {

constexpr std::uint32_t frame_max_wanted = 131'072;
constexpr timeval reply_patience{.tv_sec = 20, .tv_usec = 0};

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::generic_category().message(errno));
}

}  // namespace

client::client(const endpoint& server) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server.port);
    if (inet_pton(AF_INET, server.address.c_str(), &to.sin_addr) != 1)
        throw std::runtime_error(server.address + " is no address");
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) fail("socket");
    try {
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) fail("connect");
        const int on = 1;
        setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &reply_patience, sizeof(reply_patience));
        log_in();
    } catch (...) {
        ::close(socket_);
        throw;
    }
}

client::~client() {
    if (socket_ >= 0) ::close(socket_);
}

void client::log_in() {
    send(std::string(amqp::protocol_header_octets));
    expect<amqp::connection_start>(receive());
    amqp::connection_start_ok login;
    login.client_properties = {{"product", "foz bench"},
                               {"capabilities", amqp::table{{"basic.nack", true}, {"publisher_confirms", true}}}};
    login.mechanism = "PLAIN";
    login.response = std::string("\0guest\0guest", 12);
    login.locale = "en_US";
    send(0, login);
    const auto offer = expect<amqp::connection_tune>(receive());
    frame_max_ = offer.frame_max == 0 ? frame_max_wanted : std::min(offer.frame_max, frame_max_wanted);
    amqp::connection_tune_ok tuned;
    tuned.channel_max = offer.channel_max;
    tuned.frame_max = frame_max_;
    tuned.heartbeat = 0;
    send(0, tuned);
    amqp::connection_open open;
    open.virtual_host = "/";
    send(0, open);
    expect<amqp::connection_open_ok>(receive());
    expect<amqp::channel_open_ok>(call(amqp::channel_open{}));
}

amqp::method client::call(const amqp::method& m) {
    send(channel, m);
    return receive();
}

void client::send(std::uint16_t number, const amqp::method& m) const {
    std::string octets;
    if (!amqp::encode_method(octets, number, m)) throw std::runtime_error("a method can't be encoded");
    send(octets);
}

void client::send(const std::string& octets) const {
    for (std::size_t done = 0; done < octets.size();) {
        const ssize_t size = ::send(socket_, octets.data() + done, octets.size() - done, MSG_NOSIGNAL);
        if (size < 0) fail("send");
        done += static_cast<std::size_t>(size);
    }
}

std::string client::read_exactly(std::size_t size) const {
    std::string octets(size, '\0');
    for (std::size_t done = 0; done < size;) {
        const ssize_t got = ::recv(socket_, octets.data() + done, size - done, 0);
        if (got < 0) fail("recv");
        if (got == 0) throw std::runtime_error("the server closed the connection");
        done += static_cast<std::size_t>(got);
    }
    return octets;
}

amqp::method client::receive() {
    constexpr std::size_t prefix_size = 7;
    for (;;) {
        const std::string prefix = read_exactly(prefix_size);
        const std::string payload = read_exactly(amqp::load_big_endian<std::uint32_t>(prefix.data() + 3) + 1);
        if (prefix.front() != static_cast<char>(amqp::frame_type::method)) continue;
        auto got = amqp::decode_method(std::string_view(payload).substr(0, payload.size() - 1));
        if (!got) throw std::runtime_error("the server sent what is no method");
        return *got;
    }
}

void client::refused(const amqp::method& got) {
    std::string why = "unexpected " + std::string(amqp::info(got).name);
    if (const auto* const closed = std::get_if<amqp::channel_close>(&got)) why += ": " + closed->reply_text;
    if (const auto* const closed = std::get_if<amqp::connection_close>(&got)) why += ": " + closed->reply_text;
    throw std::runtime_error(why);
}

}  // namespace foz::bench
