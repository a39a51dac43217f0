// What plain and TLS streams have in common: a socket that the shard's poller watches. For the two of them.
#pragma once

#include "net/poller.hpp"
#include "net/stream.hpp"

#include <cstdint>
#include <unistd.h>
#include <utility>

namespace foz::net {

class polled_stream : public stream, private pollable {
protected:
    // The socket is non-blocking and ours from here on.
    polled_stream(shard& home, int descriptor, tcp::endpoint remote, stream_options options)
        : stream(home, std::move(remote), options), descriptor_(descriptor) {}
    ~polled_stream() override {
        if (const int gone = release(); gone >= 0) ::close(gone);
    }

    void start_reading() override { wait_for(awaited_ | EPOLLIN); }
    void wait_writable() override { wait_for(awaited_ | EPOLLOUT); }

    // The socket has octets, or an end; it takes octets.
    virtual void on_readable() = 0;
    virtual void on_writable() = 0;
    // Whether on_readable() is to be called again when the socket has octets.
    virtual bool waits_for_octets() const noexcept { return wants_octets(); }

    void close_socket() override {
        if (const int gone = release(); gone >= 0) ::close(gone);
    }
    int descriptor() override { return descriptor_; }
    // -1: it is gone. Nothing is waited for any more.
    int release() noexcept {
        sockets().forget(place_, descriptor_);
        awaited_ = 0;
        return std::exchange(descriptor_, -1);
    }

    // The poller keeps us while we wait for something.
    void wait_for(std::uint32_t events) {
        if (descriptor_ < 0 || events == awaited_) return;
        awaited_ = events;
        if (put_off_) return;  // it will be looked at
        if (events == 0) return sockets().forget(place_, descriptor_);
        if (events & EPOLLIN) events |= EPOLLRDHUP;
        const std::shared_ptr<pollable> keep(self(), this);
        const std::error_code error = sockets().watch(place_, descriptor_, keep, events);
        if (!error) return;
        awaited_ = 0;
        home().post(
            [keep = self(), this, why = error_code(error.value(), boost::system::system_category())] { fail(why); });
    }

private:
    void on_ready(std::uint32_t events) override {
        home().note_awake();
        // It ends, or is broken; there may be octets before that. Thousands may end at once.
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            put_off_ = true;
            return sockets().put_off(place_, descriptor_);
        }
        if (events & awaited_ & EPOLLOUT) {
            wait_for(awaited_ & ~EPOLLOUT);
            on_writable();
        }
        if (!(events & awaited_ & EPOLLIN)) return;
        on_readable();
        if (!waits_for_octets()) wait_for(awaited_ & ~EPOLLIN);
    }

    // What is broken is both: the call that is tried then says why.
    void on_put_off() override {
        home().note_awake();
        put_off_ = false;
        const std::uint32_t wanted = std::exchange(awaited_, 0);
        if (descriptor_ >= 0 && (wanted & EPOLLOUT)) on_writable();
        if (descriptor_ >= 0 && (wanted & EPOLLIN)) on_readable();
        if (wanted & EPOLLIN && waits_for_octets()) wait_for(awaited_ | EPOLLIN);
    }

    void move_to(lane to) override {
        if (to == lane_) return;
        sockets().forget(place_, descriptor_);
        lane_ = to;
        wait_for(std::exchange(awaited_, 0));
    }

    poller& sockets() noexcept { return home().sockets(lane_); }

    int descriptor_;
    lane lane_ = lane::settled;
    bool put_off_ = false;
    std::uint32_t awaited_ = 0;  // EPOLLIN, EPOLLOUT
    std::uint32_t place_ = poller::nowhere;
};

}  // namespace foz::net
