// What a broker sends at once, and whoever else is on the loop.
#include "amqp/conn/tests/played_broker.hpp"

#include <algorithm>
#include <sys/eventfd.h>
#include <unistd.h>

namespace foz::amqp {
namespace {

constexpr std::size_t messages = 2'000;

struct counting_consumer final : channel_handler {
    explicit counting_consumer(client& c) : link(c.open_channel(*this)) {}
    ~counting_consumer() { link->close(); }
    asio::awaitable<result<void>> set_up(channel& self) override {
        basic_consume method;
        method.queue = "q";
        method.no_ack = true;
        auto consuming = co_await self.call(std::move(method));
        if (!consuming) co_return std::unexpected(consuming.error());
        co_return result<void>{};
    }
    void on_delivery(channel&, const delivery&) override {
        most_in_a_row = std::max(most_in_a_row, ++in_a_row);
        if (++heard == messages) done();
    }

    std::size_t heard = 0, in_a_row = 0, most_in_a_row = 0;
    std::function<void()> done;
    std::shared_ptr<channel> link;
};

// Another socket on the loop, which has something to read all the time.
struct bystander final : net::pollable {
    bystander(net::shard& on, std::size_t& since_its_turn) : home(on), count(since_its_turn) {
        EXPECT_FALSE(home.sockets(net::lane::settled).watch(place, socket, {std::shared_ptr<void>(), this}, EPOLLIN));
    }
    ~bystander() {
        home.sockets(net::lane::settled).forget(place, socket);
        ::close(socket);
    }
    void on_ready(std::uint32_t) override { count = 0; }

    net::shard& home;
    std::size_t& count;
    int socket = ::eventfd(1, EFD_NONBLOCK);
    std::uint32_t place = net::poller::nowhere;
};

}  // namespace

TEST(amqp_reads, the_others_on_the_loop_have_their_turn_while_a_broker_sends_thousands_of_messages) {
    stage s;
    s.wish.deals = [](played_connection& from, std::uint16_t on, message& m) {
        if (!std::holds_alternative<basic_consume>(m.method)) return false;
        from.say(on, basic_consume_ok{.consumer_tag = "c"});
        for (std::uint64_t i = 1; i <= messages; ++i)
            from.say_content(on, basic_deliver{.consumer_tag = "c", .delivery_tag = i}, {}, std::string(128, 'x'));
        return true;
    };
    client c(s.home, {.urls = {s.to()}});
    counting_consumer hears(c);
    bystander other(s.home, hears.in_a_row);
    hears.done = [&] { s.end(c); };
    c.start();
    s.run();
    EXPECT_EQ(hears.heard, messages);
    EXPECT_LE(hears.most_in_a_row, 100u);
}

}  // namespace foz::amqp
