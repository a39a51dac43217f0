// Many clients of one server on one thread, with one epoll. It opens them, upgrades them, answers Primus' pings, and
// shows every other frame.
#pragma once

#include "connection.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <vector>

namespace foz::load {

// How a client begins.
struct greeting {
    std::string path = "/";  // with the query
    std::string frames;      // sent as soon as the server has upgraded; whole frames
};

struct crowd_options {
    server_address server;
    std::string source = "127.0.0.2";  // its last number counts on through `sources`
    unsigned sources = 4;
    std::size_t at_once = 128;  // clients that are on their way
    bool until_gone = false;    // a client is on its way until its connection has ended, not until it is upgraded
    bool silent = false;        // connect and say nothing
    bool tls = false;
};

class crowd {
public:
    using greet = std::function<greeting(std::size_t index)>;

    explicit crowd(crowd_options options);
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;
    ~crowd();

    // So many more clients are opened by the calls of poll() that follow.
    void join(std::size_t count, greet how);
    // Also returns when the driver has written a line: see driver_waits().
    void listen_to_driver();

    // One turn: waits at most so long, `visit(index, payload)` for every message that is no ping. It must not close the
    // client that it is called for. False when nothing happened.
    template <class Visit>
    bool poll(int wait_ms, const Visit& visit);
    // Polls until `done()`; throws std::runtime_error when nothing has arrived for so long.
    template <class Done, class Visit>
    void poll_until(const Done& done, double patience, const std::string& what, const Visit& visit);

    connection& operator[](std::size_t index) { return members_[index].link; }
    void say(std::size_t index, std::string_view text);
    std::size_t size() const noexcept { return members_.size(); }  // those that have begun
    std::size_t upgraded() const noexcept { return upgraded_; }    // ever
    std::size_t gone() const noexcept { return gone_; }
    void close_all();
    // How many the server has closed with which code; 0: without a close frame.
    const std::map<unsigned, std::size_t>& closed_with() const noexcept { return closed_with_; }
    bool driver_waits() noexcept { return std::exchange(driver_waits_, false); }

private:
    enum class stage : std::uint8_t { upgrading, open, gone };
    struct member {
        connection link;
        stage at = stage::upgrading;
        std::uint16_t close_code = 0;
    };

    void begin_some();
    void begin_one();
    void upgrade(std::size_t index);
    void lose(std::size_t index);
    void watch(int socket, std::uint64_t tag, std::uint32_t events);
    static bool is_ping(std::string_view payload) noexcept;
    void control(std::size_t index, const frame_view& frame);

    template <class Visit>
    auto seen_by(std::size_t index, const Visit& visit) {
        return [this, index, &visit](const frame_view& frame) {
            if (frame.kind != opcode::text || is_ping(frame.payload))
                control(index, frame);
            else
                visit(index, frame.payload);
        };
    }
    template <class Visit>
    void serve(std::size_t index, std::uint32_t events, const Visit& visit);

    static constexpr std::uint64_t driver_tag = UINT64_MAX;
    static constexpr std::size_t events_at_once = 1024;

    crowd_options options_;
    int epoll_;
    std::vector<member> members_;
    std::vector<char> buffer_ = std::vector<char>(256 << 10);
    std::array<epoll_event, events_at_once> events_{};
    greet greet_;
    std::size_t wanted_ = 0;
    std::size_t on_their_way_ = 0;
    std::size_t upgraded_ = 0;
    std::size_t gone_ = 0;
    std::map<unsigned, std::size_t> closed_with_;
    std::uint64_t arrivals_ = 0;  // turns in which anything happened
    bool driver_waits_ = false;
};

double now_seconds();

template <class Visit>
void crowd::serve(std::size_t index, std::uint32_t events, const Visit& visit) {
    member& one = members_[index];
    if (one.at == stage::gone) return;
    if (events & EPOLLOUT) one.link.flush();
    if (!(events & ~static_cast<std::uint32_t>(EPOLLOUT))) return;
    if (one.at == stage::upgrading) {
        upgrade(index);
        if (one.at == stage::open) one.link.visit_kept(seen_by(index, visit));
        if (one.at != stage::open) return;
    }
    // Edge-triggered: an end that came with the last octets is not told again.
    const bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    const auto seen = seen_by(index, visit);
    if (!one.link.receive(buffer_, seen) || (ended && !one.link.receive(buffer_, seen))) lose(index);
}

template <class Visit>
bool crowd::poll(int wait_ms, const Visit& visit) {
    begin_some();
    const int count = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), wait_ms);
    if (count > 0) ++arrivals_;
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.u64 == driver_tag)
            driver_waits_ = true;
        else
            serve(event.data.u64, event.events, visit);
    }
    return count > 0;
}

template <class Done, class Visit>
void crowd::poll_until(const Done& done, double patience, const std::string& what, const Visit& visit) {
    std::uint64_t seen = arrivals_;
    double since = now_seconds();
    while (!done()) {
        poll(10, visit);
        const double now = now_seconds();
        if (arrivals_ != seen) {
            seen = arrivals_;
            since = now;
        } else if (now - since > patience) {
            throw std::runtime_error("nothing happened for " + std::to_string(static_cast<int>(patience)) +
                                     " s while waiting for " + what);
        }
    }
}

}  // namespace foz::load
