// Which sockets are told that they are ready, and who is kept.
#include "net/poller.hpp"

#include <functional>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace foz::net {
namespace {

struct peer final : pollable {
    peer() {
        int both[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
        near = both[0];
        far = both[1];
    }
    ~peer() {
        ::close(near);
        ::close(far);
    }
    void on_ready(std::uint32_t events) override {
        seen |= events;
        ++calls;
        if (act) act();
    }
    void send() const { EXPECT_EQ(::write(far, "x", 1), 1); }
    void read() const {
        char octet = 0;
        EXPECT_EQ(::read(near, &octet, 1), 1);
    }

    int near = -1, far = -1;
    std::uint32_t place = poller::nowhere;
    std::uint32_t seen = 0;
    int calls = 0;
    std::function<void()> act;
};

int run_all(poller& all) {
    int calls = 0;
    while (calls < 100 && all.run_one()) ++calls;
    return calls;
}

}  // namespace

TEST(poller, tells_again_until_it_has_been_read) {
    poller all;
    const auto one = std::make_shared<peer>();
    ASSERT_FALSE(all.watch(one->place, one->near, one, EPOLLIN));
    EXPECT_FALSE(all.run_one());
    one->send();
    EXPECT_TRUE(all.run_one());
    EXPECT_TRUE(all.run_one());
    EXPECT_EQ(one->seen, std::uint32_t{EPOLLIN});
    one->read();
    EXPECT_FALSE(all.run_one());
}

TEST(poller, changes_what_is_watched_for) {
    poller all;
    const auto one = std::make_shared<peer>();
    ASSERT_FALSE(all.watch(one->place, one->near, one, EPOLLOUT));
    EXPECT_TRUE(all.run_one());
    EXPECT_EQ(one->seen, std::uint32_t{EPOLLOUT});
    ASSERT_FALSE(all.watch(one->place, one->near, one, EPOLLIN));
    EXPECT_FALSE(all.run_one());
    EXPECT_EQ(all.watched(), 1u);
}

TEST(poller, keeps_whom_it_watches_and_nobody_else) {
    poller all;
    auto one = std::make_shared<peer>();
    const std::weak_ptr<peer> seen = one;
    ASSERT_FALSE(all.watch(one->place, one->near, one, EPOLLIN));
    peer& self = *one;
    one.reset();
    EXPECT_FALSE(seen.expired());
    // From inside its own call, too.
    self.act = [&] { all.forget(self.place, self.near); };
    self.send();
    EXPECT_TRUE(all.run_one());
    EXPECT_TRUE(seen.expired());
    EXPECT_EQ(all.watched(), 0u);
    EXPECT_FALSE(all.run_one());
}

TEST(poller, one_that_was_forgotten_meanwhile_is_not_called) {
    poller all;
    std::vector<std::shared_ptr<peer>> many;
    for (int i = 0; i < 10; ++i) {
        many.push_back(std::make_shared<peer>());
        ASSERT_FALSE(all.watch(many.back()->place, many.back()->near, many.back(), EPOLLIN));
        many.back()->send();
    }
    // The first one that is called ends all the others.
    for (const auto& one : many)
        one->act = [&all, &many, self = one.get()] {
            self->read();
            for (const auto& other : many)
                if (other.get() != self) all.forget(other->place, other->near);
        };
    run_all(all);
    int calls = 0;
    for (const auto& one : many) calls += one->calls;
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(all.watched(), 1u);
}

TEST(poller, says_why_it_can_not_watch) {
    poller all;
    const auto one = std::make_shared<peer>();
    std::uint32_t place = poller::nowhere;
    EXPECT_EQ(all.watch(place, -1, one, EPOLLIN), std::errc::bad_file_descriptor);
    EXPECT_EQ(place, poller::nowhere);
    EXPECT_EQ(all.watched(), 0u);
}

TEST(poller, a_broken_connection_is_told) {
    poller all;
    const auto one = std::make_shared<peer>();
    ASSERT_FALSE(all.watch(one->place, one->near, one, EPOLLIN));
    ::shutdown(one->far, SHUT_RDWR);
    EXPECT_TRUE(all.run_one());
    EXPECT_TRUE(one->seen & EPOLLHUP);
}

}  // namespace foz::net
