// broker_null: what any server on one core could reach at most with this load. It takes publishes and hands out as many
// deliveries, but looks at no message and keeps none: what it delivers is one and the same frame, encoded once.
#include "amqp/codec/content.hpp"
#include "amqp/codec/encode.hpp"

#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace foz;

constexpr std::uint16_t channel = 1;
constexpr std::size_t batch_octets = 512 << 10;

struct session {
    int socket;
    amqp::frame_parser parser{amqp::role::server, 131'072};
    std::string out;
    std::size_t out_done = 0;
    std::uint64_t published = 0;
    std::uint64_t confirmed = 0;
    bool confirms = false;
    bool consumes = false;
    std::uint64_t due = 0;   // messages to be delivered
    std::uint64_t sent = 0;  // octets of the batch that is delivered again and again
};

class null_server {
public:
    explicit null_server(std::uint16_t port);
    [[noreturn]] void run();

private:
    void accept();
    bool read(session& from);
    void on_method(session& from, const amqp::frame& received);
    void on_body(session& from, std::size_t size);
    void encode_delivery(std::size_t size);
    void write(session& to);
    void write_all();

    int listener_;
    int epoll_;
    std::map<int, std::unique_ptr<session>> sessions_;
    std::map<int, session*> consumers_;
    session* turn_ = nullptr;  // whose message is next
    bool fanout_ = false;
    std::size_t body_size_ = 0;
    std::size_t delivery_size_ = 1;
    std::string deliveries_;
    std::string buffer_ = std::string(256 << 10, '\0');
};

null_server::null_server(std::uint16_t port)
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)), epoll_(epoll_create1(0)) {
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_port = htons(port);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&here), sizeof(here)) != 0 || ::listen(listener_, 64) != 0)
        throw std::runtime_error("the port is taken");
    epoll_event wish{.events = EPOLLIN, .data = {.fd = listener_}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &wish);
}

void null_server::accept() {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
    if (socket < 0) return;
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    epoll_event wish{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.fd = socket}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &wish);
    sessions_.emplace(socket, std::make_unique<session>(session{.socket = socket}));
}

// False when the client has gone.
bool null_server::read(session& from) {
    for (;;) {
        const ssize_t got = ::recv(from.socket, buffer_.data(), buffer_.size(), 0);
        if (got == 0) return false;
        if (got < 0) return errno == EAGAIN;
        std::string_view input(buffer_.data(), static_cast<std::size_t>(got));
        for (;;) {
            const auto next = from.parser.next(input);
            if (!next) return false;
            if (!*next) break;
            const amqp::frame& frame = **next;
            if (frame.type == amqp::frame_type::body)
                on_body(from, frame.payload.size());
            else if (frame.type == amqp::frame_type::method || frame.type == amqp::frame_type::protocol_header)
                on_method(from, frame);
        }
        write_all();
    }
}

void null_server::on_body(session& from, std::size_t size) {
    if (size != body_size_) encode_delivery(size);
    ++from.published;
    if (consumers_.empty()) return;
    if (fanout_) {
        for (const auto& [socket, one] : consumers_) ++one->due;
        return;
    }
    const auto next = turn_ ? consumers_.upper_bound(turn_->socket) : consumers_.begin();
    turn_ = next == consumers_.end() ? consumers_.begin()->second : next->second;
    ++turn_->due;
}

void null_server::encode_delivery(std::size_t size) {
    body_size_ = size;
    amqp::basic_deliver deliver;
    deliver.consumer_tag = "amq.ctag-0123456789012345678901";
    deliver.delivery_tag = 1;
    deliver.routing_key = "foz-bench-0";
    std::string one;
    (void)amqp::encode_content(one, {.channel = channel}, deliver, {}, std::string(size, 'x'));
    delivery_size_ = one.size();
    deliveries_.clear();
    do deliveries_ += one;
    while (deliveries_.size() < batch_octets);
}

void null_server::on_method(session& from, const amqp::frame& received) {
    const auto answer = [&](std::uint16_t number, const amqp::method& m) {
        (void)amqp::encode_method(from.out, number, m);
    };
    if (received.type == amqp::frame_type::protocol_header) return answer(0, amqp::connection_start{});
    constexpr std::uint32_t publish = amqp::basic_publish::class_id << 16 | amqp::basic_publish::method_id;
    if (amqp::load_big_endian<std::uint32_t>(received.payload.data()) == publish) return;
    const auto got = amqp::decode_method(received.payload);
    if (!got) return;
    if (std::holds_alternative<amqp::connection_start_ok>(*got)) {
        amqp::connection_tune tune;
        tune.frame_max = 131'072;
        answer(0, tune);
    } else if (std::holds_alternative<amqp::connection_open>(*got)) {
        answer(0, amqp::connection_open_ok{});
    } else if (std::holds_alternative<amqp::channel_open>(*got)) {
        answer(channel, amqp::channel_open_ok{});
    } else if (const auto* const declare = std::get_if<amqp::queue_declare>(&*got)) {
        fanout_ = amqp::as_string(declare->arguments.find("x-queue-type")) == "stream";
        answer(channel, amqp::queue_declare_ok{});
    } else if (std::holds_alternative<amqp::exchange_declare>(*got)) {
        fanout_ = true;
        answer(channel, amqp::exchange_declare_ok{});
    } else if (std::holds_alternative<amqp::queue_bind>(*got)) {
        answer(channel, amqp::queue_bind_ok{});
    } else if (std::holds_alternative<amqp::basic_qos>(*got)) {
        answer(channel, amqp::basic_qos_ok{});
    } else if (std::holds_alternative<amqp::basic_consume>(*got)) {
        from.consumes = true;
        consumers_.emplace(from.socket, &from);
        answer(channel, amqp::basic_consume_ok{});
    } else if (std::holds_alternative<amqp::confirm_select>(*got)) {
        from.confirms = true;
        answer(channel, amqp::confirm_select_ok{});
    } else if (std::holds_alternative<amqp::queue_delete>(*got)) {
        answer(channel, amqp::queue_delete_ok{});
    } else if (std::holds_alternative<amqp::exchange_delete>(*got)) {
        answer(channel, amqp::exchange_delete_ok{});
    }
}

void null_server::write(session& to) {
    if (to.confirms && to.published != to.confirmed) {
        amqp::basic_ack ack;
        ack.delivery_tag = to.confirmed = to.published;
        ack.multiple = true;
        (void)amqp::encode_method(to.out, channel, ack);
    }
    while (!to.out.empty()) {
        const ssize_t done = ::send(to.socket, to.out.data(), to.out.size(), MSG_NOSIGNAL);
        if (done < 0) return;
        to.out.erase(0, static_cast<std::size_t>(done));
    }
    for (;;) {
        const std::uint64_t left = to.due * delivery_size_ - to.sent;
        if (left == 0) return;
        const std::size_t at = to.sent % deliveries_.size();
        const std::size_t size = std::min<std::uint64_t>(left, deliveries_.size() - at);
        const ssize_t done = ::send(to.socket, deliveries_.data() + at, size, MSG_NOSIGNAL);
        if (done < 0) return;
        to.sent += static_cast<std::uint64_t>(done);
    }
}

void null_server::write_all() {
    for (const auto& [socket, one] : sessions_) write(*one);
}

void null_server::run() {
    std::array<epoll_event, 64> events;
    for (;;) {
        const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            const int socket = events[static_cast<std::size_t>(i)].data.fd;
            if (socket == listener_) {
                accept();
                continue;
            }
            session& one = *sessions_.at(socket);
            if (read(one)) {
                write(one);
                continue;
            }
            ::close(socket);
            if (turn_ == &one) turn_ = nullptr;
            consumers_.erase(socket);
            sessions_.erase(socket);
        }
        if (sessions_.empty()) fanout_ = false;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: broker_null PORT\n");
        return 2;
    }
    try {
        null_server(static_cast<std::uint16_t>(std::atoi(argv[1]))).run();
    } catch (const std::runtime_error& why) {
        std::fprintf(stderr, "broker_null: %s\n", why.what());
        return 1;
    }
}
