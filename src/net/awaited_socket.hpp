// A socket that has just been accepted and is no stream yet: what comes before that (a TLS handshake, a proxy's head)
// waits for it in the poller, for a bounded time. For those in this module that do such a thing.
#pragma once

#include "net/poller.hpp"
#include "net/shard.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <unistd.h>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace foz::net {

using boost::system::error_code;
using tcp = asio::ip::tcp;

// The poller keeps it while it waits. Until the end nothing of Asio's is kept for the socket.
class awaited_socket : public std::enable_shared_from_this<awaited_socket>, private pollable {
public:
    awaited_socket(const awaited_socket&) = delete;
    awaited_socket& operator=(const awaited_socket&) = delete;

    // Calls on_awaited() whenever octets are there, and ends with timed_out after so long.
    void start(std::chrono::milliseconds within) {
        error_code error;
        protocol_ = socket_.local_endpoint(error).protocol();
        socket_.non_blocking(true, error);
        descriptor_ = socket_.release(error);
        if (error) return end_later(error);
        limit_.start(home_.wheel(), within);
        wait(EPOLLIN);
    }

    // Ends it now, as if its time were over. On the shard, not from inside its own callbacks.
    void give_up() { end(asio::error::timed_out); }

protected:
    awaited_socket(shard& home, tcp::socket socket) : home_(home), socket_(std::move(socket)) {}
    virtual ~awaited_socket() {
        if (const int gone = leave_poller(); gone >= 0) ::close(gone);
    }

    virtual void on_awaited() = 0;
    // Once. Without an error the socket is whole again; with one it may be.
    virtual void on_end(error_code error, tcp::socket socket) = 0;

    // For EPOLLIN or EPOLLOUT.
    void wait(std::uint32_t events) {
        if (std::exchange(awaited_, events) == events) return;
        const std::shared_ptr<pollable> keep(shared_from_this(), this);
        const std::error_code error = home_.sockets(lane::arriving).watch(place_, descriptor_, keep, events);
        if (error) end_later(error_code(error.value(), boost::system::system_category()));
    }

    // Not from inside start().
    void end(error_code error) {
        const auto keep = shared_from_this();  // the poller may be the last that has it
        if (std::exchange(ended_, true)) return;
        limit_.cancel();
        const int descriptor = leave_poller();
        error_code unfit;
        if (descriptor >= 0) socket_.assign(protocol_, descriptor, unfit);
        if (unfit) ::close(descriptor);
        on_end(error ? error : unfit, std::move(socket_));
    }

    shard& home() noexcept { return home_; }
    int descriptor() const noexcept { return descriptor_; }

private:
    void on_ready(std::uint32_t) override {
        if (!ended_) on_awaited();
    }

    void end_later(error_code error) {
        home_.post([keep = shared_from_this(), this, error] { end(error); });
    }

    int leave_poller() noexcept {
        home_.sockets(lane::arriving).forget(place_, descriptor_);
        return std::exchange(descriptor_, -1);
    }

    shard& home_;
    tcp::socket::protocol_type protocol_ = tcp::v4();
    tcp::socket socket_;  // without its descriptor, until the end
    bool ended_ = false;
    int descriptor_ = -1;
    std::uint32_t awaited_ = 0;
    std::uint32_t place_ = poller::nowhere;
    wheel_timer limit_{this, [](awaited_socket& self) { self.end(asio::error::timed_out); }};
};

}  // namespace foz::net
