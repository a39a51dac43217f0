// The plain TCP stream: non-blocking calls first, the shard's poller only when they would block. No memory while idle.
#include "net/poller.hpp"
#include "net/stream.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace foz::net {
namespace {

error_code last_error() {
    return {errno == EAGAIN ? EWOULDBLOCK : errno, boost::system::system_category()};
}

// A call that a signal has interrupted is made again.
template <class Call>
ssize_t uninterrupted(Call&& call) {
    ssize_t result;
    do result = call();
    while (result < 0 && errno == EINTR);
    return result;
}

class plain_stream final : public stream, private pollable {
public:
    plain_stream(shard& home, int descriptor, tcp::endpoint remote, stream_options options)
        : stream(home, std::move(remote), options), descriptor_(descriptor) {}
    ~plain_stream() override { close_socket(); }

private:
    void start_reading() override { wait_for(awaited_ | EPOLLIN); }
    void wait_writable() override { wait_for(awaited_ | EPOLLOUT); }

    void on_ready(std::uint32_t events) override {
        home().note_awake();
        // It ends, or is broken; there may be octets before that. Thousands may end at once.
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            put_off_ = true;
            return sockets().put_off(place_, descriptor_);
        }
        if (events & awaited_ & EPOLLOUT) {
            wait_for(awaited_ & ~EPOLLOUT);
            writable({});
        }
        if (!(events & awaited_ & EPOLLIN)) return;
        if (wants_octets()) read();
        if (!wants_octets()) wait_for(awaited_ & ~EPOLLIN);
    }

    // What is broken is both: the call that is tried then says why.
    void on_put_off() override {
        home().note_awake();
        put_off_ = false;
        const std::uint32_t wanted = std::exchange(awaited_, 0);
        if (descriptor_ >= 0 && (wanted & EPOLLOUT)) writable({});
        if (descriptor_ >= 0 && (wanted & EPOLLIN) && wants_octets()) read();
        if (wanted & EPOLLIN && wants_octets()) wait_for(awaited_ | EPOLLIN);
    }

    void move_to(lane to) override {
        if (to == lane_) return;
        sockets().forget(place_, descriptor_);
        lane_ = to;
        wait_for(std::exchange(awaited_, 0));
    }

    poller& sockets() { return home().sockets(lane_); }

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

    void read() {
        const std::span<char> all = home().read_buffer();
        const std::span<char> buffer = all.first(std::min(all.size(), options().read_bytes_max));
        const ssize_t size = uninterrupted([&] { return ::recv(descriptor_, buffer.data(), buffer.size(), 0); });
        if (size > 0) return deliver(buffer.first(static_cast<std::size_t>(size)));
        if (size == 0) return fail(asio::error::eof);
        if (const error_code error = last_error(); error != asio::error::would_block) fail(error);
    }

    std::size_t write_some(std::span<const asio::const_buffer> buffers, error_code& error) override {
        const ssize_t size =
            uninterrupted([&] { return buffers.size() == 1 ? send_one(buffers[0]) : send_all(buffers); });
        if (size >= 0) return static_cast<std::size_t>(size);
        error = last_error();
        return 0;
    }

    // What is joined already, as it mostly is: cheaper for the kernel.
    ssize_t send_one(const asio::const_buffer& buffer) {
        return ::send(descriptor_, buffer.data(), buffer.size(), MSG_NOSIGNAL);
    }

    ssize_t send_all(std::span<const asio::const_buffer> buffers) {
        std::array<iovec, gather_max> parts;
        assert(buffers.size() <= parts.size());
        for (std::size_t i = 0; i < buffers.size(); ++i)
            parts[i] = {.iov_base = const_cast<void*>(buffers[i].data()), .iov_len = buffers[i].size()};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = buffers.size();
        return ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
    }

    void shutdown_output() override { ::shutdown(descriptor_, SHUT_WR); }

    void close_socket() override {
        if (const int gone = release(); gone >= 0) ::close(gone);
    }

    std::optional<detached_stream> take_out() override {
        const int descriptor = release();
        if (descriptor < 0) return std::nullopt;
        return detached_stream(descriptor, nullptr, remote());
    }

    int descriptor() override { return descriptor_; }

    int release() {
        sockets().forget(place_, descriptor_);
        awaited_ = 0;
        return std::exchange(descriptor_, -1);
    }

    int descriptor_;
    lane lane_ = lane::settled;
    bool put_off_ = false;
    std::uint32_t awaited_ = 0;  // EPOLLIN, EPOLLOUT
    std::uint32_t place_ = poller::nowhere;
};

// Each connection has one for as long as it lives, and is idle most of the time.
static_assert(sizeof(plain_stream) <= 272);

}  // namespace

std::shared_ptr<stream> stream::plain(shard& home, tcp::socket socket, stream_options options) {
    error_code ignored;
    tcp::endpoint remote = socket.remote_endpoint(ignored);
    socket.non_blocking(true, ignored);
    socket.set_option(tcp::no_delay(true), ignored);
    // Asio waits for it no more.
    return std::make_shared<plain_stream>(home, socket.release(ignored), std::move(remote), options);
}

}  // namespace foz::net
