#include "net/address_race.hpp"

#include "net/connect.hpp"
#include "net/listener.hpp"
#include "net/runtime.hpp"

#include <chrono>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

namespace foz::net {
namespace {

using namespace std::chrono_literals;

// A port that answers no SYN, as a host that is not there does: its queue of connections is full.
class silent_port {
public:
    silent_port() {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address_);
        const int listening = open_socket();
        EXPECT_EQ(::bind(listening, reinterpret_cast<sockaddr*>(&address_), size), 0);
        EXPECT_EQ(::listen(listening, 0), 0);
        EXPECT_EQ(::getsockname(listening, reinterpret_cast<sockaddr*>(&address_), &size), 0);
        for (int i = 0; i < 3; ++i) ::connect(open_socket(), reinterpret_cast<sockaddr*>(&address_), size);
    }
    ~silent_port() {
        for (const int one : sockets_) ::close(one);
    }
    tcp::endpoint where() const { return {asio::ip::address_v4::loopback(), ntohs(address_.sin_port)}; }

private:
    int open_socket() {
        return sockets_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    }

    sockaddr_in address_{};
    std::vector<int> sockets_;
};

struct outcome {
    std::optional<tcp::endpoint> reached;
    error_code error;
    std::chrono::steady_clock::duration took{};
};

asio::awaitable<void> run(runtime& cores, std::vector<tcp::endpoint> addresses, race_options options, outcome& out) {
    const auto begun = std::chrono::steady_clock::now();
    auto won = co_await race(cores.at(0), std::move(addresses), options);
    out.took = std::chrono::steady_clock::now() - begun;
    if (won) {
        out.reached = won->remote_endpoint();
    } else {
        out.error = won.error();
    }
    cores.stop();
}

outcome race_to(runtime& cores, std::vector<tcp::endpoint> addresses, race_options options = {}) {
    outcome out;
    asio::co_spawn(cores.at(0).context(), run(cores, std::move(addresses), options, out), asio::detached);
    cores.run();
    return out;
}

tcp::endpoint refusing() {
    runtime cores(1);
    auto accepting = listener::open(cores.at(0), {}, [](tcp::socket) {});
    return {asio::ip::address_v4::loopback(), (*accepting)->port()};
}

tcp::endpoint at(const char* address) {
    return {asio::ip::make_address(address), 1};
}

}  // namespace

TEST(address_race, the_families_take_turns_and_each_attempt_begins_with_another_address) {
    const std::vector resolved{at("::1"), at("::2"), at("::3"), at("127.0.0.1")};
    EXPECT_EQ(in_racing_order(resolved, 0), (std::vector{at("::1"), at("127.0.0.1"), at("::2"), at("::3")}));
    EXPECT_EQ(in_racing_order(resolved, 1), (std::vector{at("127.0.0.1"), at("::2"), at("::3"), at("::1")}));
    EXPECT_EQ(in_racing_order(resolved, 4), in_racing_order(resolved, 0));
    EXPECT_TRUE(in_racing_order({}, 3).empty());
}

TEST(address_race, an_address_that_refuses_costs_no_time) {
    runtime cores(1);
    auto accepting = listener::open(cores.at(0), {}, [](tcp::socket) {});
    const tcp::endpoint good(asio::ip::address_v4::loopback(), (*accepting)->port());
    const outcome out = race_to(cores, {refusing(), refusing(), good}, {.stagger = 60s});
    EXPECT_EQ(out.reached, good);
}

TEST(address_race, addresses_that_are_silent_cost_a_stagger_each_and_not_their_time) {
    runtime cores(1);
    auto accepting = listener::open(cores.at(0), {}, [](tcp::socket) {});
    const tcp::endpoint good(asio::ip::address_v4::loopback(), (*accepting)->port());
    const silent_port one, other;
    const outcome out = race_to(cores, {one.where(), other.where(), good}, {.each = 60s});
    EXPECT_EQ(out.reached, good);
    EXPECT_GE(out.took, 500ms);
    EXPECT_LT(out.took, 10s);
}

TEST(address_race, each_address_has_a_time_of_its_own_and_the_last_one_decides) {
    runtime cores(1);
    const silent_port one, other;
    const outcome silent = race_to(cores, {one.where(), other.where()}, {.stagger = 250ms, .each = 500ms});
    EXPECT_EQ(silent.error, asio::error::timed_out);
    EXPECT_GE(silent.took, 750ms);

    runtime more(1);
    EXPECT_EQ(race_to(more, {refusing()}).error, asio::error::connection_refused);
}

TEST(address_race, without_addresses_there_is_an_error) {
    runtime cores(1);
    EXPECT_EQ(race_to(cores, {}).error, asio::error::host_not_found);
}

TEST(address_race, its_end_in_the_middle_is_clean) {
    runtime cores(1);
    const silent_port one;
    outcome out;
    asio::co_spawn(cores.at(0).context(), run(cores, {one.where(), one.where()}, {}, out), asio::detached);
    cores.at(0).post([&] { cores.stop(); });
    cores.run();
    EXPECT_FALSE(out.reached);
}

}  // namespace foz::net
