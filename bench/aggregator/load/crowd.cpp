#include "crowd.hpp"

#include <cerrno>
#include <chrono>
#include <system_error>
#include <unistd.h>

namespace foz::load {
namespace {

constexpr std::string_view ping_begin = "\"primus::ping::";
constexpr std::string_view upgraded_line = "HTTP/1.1 101 ";
constexpr unsigned close_code_octets = 2;  // RFC 6455 §5.5.1

std::string source_of(const std::string& first, std::size_t index) {
    const std::size_t dot = first.rfind('.') + 1;
    return first.substr(0, dot) + std::to_string(std::stoul(first.substr(dot)) + index);
}

}  // namespace

double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

crowd::crowd(crowd_options options) : options_(std::move(options)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

crowd::~crowd() {
    ::close(epoll_);
}

void crowd::join(std::size_t count, greet how) {
    greet_ = std::move(how);
    wanted_ += count;
    members_.reserve(wanted_);
}

void crowd::listen_to_driver() {
    watch(STDIN_FILENO, driver_tag, EPOLLIN);
}

void crowd::watch(int socket, std::uint64_t tag, std::uint32_t events) {
    epoll_event wanted{};
    wanted.events = events;
    wanted.data.u64 = tag;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &wanted) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void crowd::begin_some() {
    while (members_.size() < wanted_ && on_their_way_ < options_.at_once) begin_one();
}

void crowd::begin_one() {
    const std::size_t index = members_.size();
    const std::string source = source_of(options_.source, index % options_.sources);
    members_.push_back({.link = connection(options_.server, source, options_.tls && !options_.silent)});
    member& one = members_.back();
    watch(one.link.socket(), index, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (options_.silent) {
        one.at = stage::open;
        ++upgraded_;
        return;
    }
    ++on_their_way_;
    // RFC 6455 §4.1. The key is the same for all: what it is good for, a cache on the way, isn't here.
    one.link.send("GET " + greet_(index).path + " HTTP/1.1\r\nHost: " + options_.server.host + ":" +
                  std::to_string(options_.server.port) +
                  "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
}

void crowd::upgrade(std::size_t index) {
    member& one = members_[index];
    const auto line = one.link.receive_head(buffer_);
    if (!line) return;
    if (!line->starts_with(upgraded_line))
        throw std::runtime_error("the server refuses a handshake: " + (line->empty() ? "it closes" : *line));
    one.at = stage::open;
    ++upgraded_;
    if (!options_.until_gone) --on_their_way_;
    if (const std::string frames = greet_(index).frames; !frames.empty()) one.link.send(frames);
}

void crowd::lose(std::size_t index) {
    member& one = members_[index];
    if (one.at == stage::upgrading || options_.until_gone) --on_their_way_;
    one.at = stage::gone;
    one.link.close();
    ++gone_;
    ++closed_with_[one.close_code];
}

void crowd::close_all() {
    for (member& one : members_) {
        one.link.close();
        one.at = stage::gone;
    }
}

void crowd::say(std::size_t index, std::string_view text) {
    std::string frame;
    append_frame(frame, opcode::text, text);
    members_[index].link.send(frame);
}

bool crowd::is_ping(std::string_view payload) noexcept {
    return payload.starts_with(ping_begin);
}

void crowd::control(std::size_t index, const frame_view& frame) {
    member& one = members_[index];
    std::string answer;
    if (frame.kind == opcode::text) {
        std::string pong(frame.payload);
        append_frame(answer, opcode::text, pong.replace(ping_begin.find("ping"), 4, "pong"));
    } else if (frame.kind == opcode::ping) {
        append_frame(answer, opcode::pong, frame.payload);
    } else if (frame.kind == opcode::close && one.close_code == 0) {
        constexpr unsigned no_status = 1005;  // RFC 6455 §7.4.1
        one.close_code = no_status;
        if (frame.payload.size() >= close_code_octets)
            one.close_code = static_cast<std::uint16_t>(static_cast<std::uint8_t>(frame.payload[0]) << 8U |
                                                        static_cast<std::uint8_t>(frame.payload[1]));
        append_frame(answer, opcode::close, frame.payload);
    }
    if (!answer.empty()) one.link.send(answer);
}

}  // namespace foz::load
