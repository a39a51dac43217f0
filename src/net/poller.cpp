#include "net/poller.hpp"

#include <cerrno>
#include <unistd.h>
#include <utility>

namespace foz::net {

poller::poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
}

poller::~poller() {
    clear();
    ::close(epoll_);
}

std::error_code poller::watch(std::uint32_t& place, int descriptor, const std::shared_ptr<pollable>& owner,
                              std::uint32_t events) {
    const bool fresh = place == nowhere;
    epoll_event wanted{};
    wanted.events = events;
    wanted.data.u32 = fresh ? owners_.next() : place;
    if (::epoll_ctl(epoll_, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &wanted) != 0) {
        const std::error_code error(errno, std::system_category());
        forget(place, descriptor);
        return error;
    }
    if (fresh) place = owners_.put(owner);
    return {};
}

void poller::forget(std::uint32_t& place, int descriptor) noexcept {
    const std::uint32_t left = std::exchange(place, nowhere);
    if (left == nowhere || !owners_[left]) return;  // cleared
    epoll_event ignored{};
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, &ignored);
    owners_.take(left);
}

void poller::put_off(std::uint32_t& place, int descriptor) noexcept {
    if (place == nowhere) return;
    put_off_.push_back(owners_[place]);
    forget(place, descriptor);
}

bool poller::run_one_put_off() {
    if (put_off_.empty()) return false;
    const auto next = std::move(put_off_.front());
    put_off_.pop_front();
    next->on_put_off();
    return true;
}

bool poller::run_one() {
    if (ready_at_ == ready_count_) {
        const int count = ::epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()), 0);
        ready_count_ = count > 0 ? static_cast<std::size_t>(count) : 0;
        ready_at_ = 0;
        if (ready_count_ == 0) return false;
    }
    const epoll_event next = ready_[ready_at_++];
    // A copy: it may be forgotten by what it does.
    if (const auto owner = owners_[next.data.u32]) owner->on_ready(next.events);
    return true;
}

void poller::clear() noexcept {
    owners_.clear();
    put_off_.clear();
    ready_count_ = ready_at_ = 0;
}

}  // namespace foz::net
