// Which of a shard's sockets are ready. No Asio.
#pragma once

#include "base/slot_table.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <sys/epoll.h>
#include <system_error>

namespace foz::net {

// The owner of a watched socket.
class pollable {
public:
    // EPOLLIN, EPOLLRDHUP, EPOLLOUT, EPOLLERR, EPOLLHUP. Called again and again while it is so. At times for nothing: a
    // place may have a new owner since the system was asked.
    virtual void on_ready(std::uint32_t events) = 0;
    // It was put off, and now is its turn.
    virtual void on_put_off() {}

protected:
    ~pollable() = default;
};

// One epoll for all sockets of a shard's connections, level-triggered. One of Asio's sockets costs some 400 octets
// beside the kernel's (itself, the reactor's part of it, which Asio never gives back, and the wait that is pending) and
// one epoll_ctl() for each wait; here it costs 20 octets and is registered once. The shard waits for the epoll's
// descriptor.
//
// Lives on one shard. Keeps its sockets' owners alive while they are watched.
class poller {
public:
    static constexpr std::uint32_t nowhere = UINT32_MAX;

    // Throws std::system_error when the system refuses.
    poller();
    ~poller();
    poller(const poller&) = delete;
    poller& operator=(const poller&) = delete;

    // Readable while a socket is ready.
    int descriptor() const noexcept { return epoll_; }

    // Watches for these events from now on. `place` is nowhere before the first call and after an error.
    std::error_code watch(std::uint32_t& place, int descriptor, const std::shared_ptr<pollable>& owner,
                          std::uint32_t events);
    // Not any more; before the descriptor is closed or leaves. Nothing happens when it was not watched.
    void forget(std::uint32_t& place, int descriptor) noexcept;

    // Calls the next one that is ready. False: none was when the system was last asked, and there may be one now.
    bool run_one();
    // Watches it no more and calls on_put_off() when those that were put off before have had their turn: when thousands
    // end at once, the others don't wait for that.
    void put_off(std::uint32_t& place, int descriptor) noexcept;
    bool run_one_put_off();
    std::size_t put_off_count() const noexcept { return put_off_.size(); }
    // Lets everybody go, without a word: the shard ends.
    void clear() noexcept;

    std::size_t watched() const noexcept { return owners_.size(); }

private:
    int epoll_;
    slot_table<std::shared_ptr<pollable>> owners_;  // by place
    std::deque<std::shared_ptr<pollable>> put_off_;
    // Told by the system, not called yet.
    std::array<epoll_event, 64> ready_;
    std::size_t ready_count_ = 0;
    std::size_t ready_at_ = 0;
};

}  // namespace foz::net
