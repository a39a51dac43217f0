// Whom a stream calls slow, and whom silent.
#include "net/runtime.hpp"
#include "net/tests/memory_stream.hpp"

#include <functional>
#include <thread>

#include <boost/asio/buffer.hpp>
#include <gtest/gtest.h>

namespace foz::net {
namespace {

using namespace std::chrono_literals;

struct manual_clock final : clock {
    steady_time now() const override { return time; }
    steady_time time{1h};
};

// A socket that takes what there is room for.
class narrow_stream final : public stream {
public:
    explicit narrow_stream(shard& home, stream_options options = {}) : stream(home, {}, options) {}

    void make_room(std::size_t octets) {
        room += octets;
        if (std::exchange(waits, false)) writable({});
    }
    void receive(std::string_view octets) {
        std::vector<char> copy(octets.begin(), octets.end());
        deliver(copy);
    }

    std::size_t room = 0;
    std::size_t taken = 0;
    int writes = 0;
    bool waits = false;
    error_code broken;

private:
    std::size_t write_some(std::span<const asio::const_buffer> buffers, error_code& error) override {
        ++writes;
        if (broken) {
            error = broken;
            return 0;
        }
        std::size_t size = 0;
        for (const auto& buffer : buffers) size += buffer.size();
        size = std::min(size, room);
        if (size == 0) error = asio::error::would_block;
        room -= size;
        taken += size;
        return size;
    }
    void wait_writable() override { waits = true; }
    void start_reading() override {}
    void shutdown_output() override {}
    void close_socket() override {}
};

struct counting_listener final : stream_handler {
    void on_octets(std::span<char>) override { ++heard; }
    void on_closed(error_code error) override { why = error; }
    void on_drained() override {
        ++drained;
        if (act) act();
    }
    void on_still_blocked() override { ++asked_again; }
    int heard = 0, drained = 0, asked_again = 0;
    error_code why;
    std::function<void()> act;
};

struct rig {
    rig() { wire->start(peer); }
    ~rig() { wire->abort(); }
    void queue(std::size_t octets) { wire->send(frame_ref::copy(std::string(octets, 'x'))); }

    manual_clock time;
    shard home{0, time, system_random()};
    counting_listener peer;
    std::shared_ptr<narrow_stream> wire = std::make_shared<narrow_stream>(home);
    slow_limits limits{
        .queued_bytes_max = 100'000, .patience = 5s, .hard_bytes_max = 1'000'000, .shard_bytes_max = 10'000'000};
};

}  // namespace

// The burst of one turn: as long as the socket takes it, nobody is slow, however much was queued at once.
TEST(slow, a_reader_that_takes_everything_is_never_slow) {
    rig r;
    r.wire->room = 100'000'000;
    for (int i = 0; i < 100; ++i) {
        r.queue(50'000);
        EXPECT_FALSE(r.wire->slow(r.limits)) << i;
    }
    EXPECT_LE(r.wire->queued_bytes(), r.limits.queued_bytes_max);
    r.home.turn();
    EXPECT_EQ(r.wire->taken, 5'000'000u);
}

TEST(slow, octets_that_nobody_has_tried_to_write_do_not_count) {
    rig r;
    r.queue(90'000);
    EXPECT_FALSE(r.wire->would_block());
    EXPECT_EQ(r.wire->untried_bytes(), 90'000u);
    r.queue(20'000);
    r.time.time += 1min;
    EXPECT_FALSE(r.wire->slow(r.limits));  // this is what tries the first write
    EXPECT_TRUE(r.wire->would_block());
    EXPECT_EQ(r.wire->untried_bytes(), 0u);
}

TEST(slow, is_who_takes_nothing_for_a_while_with_much_waiting) {
    rig r;
    r.queue(200'000);
    r.home.turn();
    EXPECT_TRUE(r.wire->would_block());
    r.time.time += 4'900ms;
    EXPECT_FALSE(r.wire->slow(r.limits));
    r.wire->make_room(1);
    EXPECT_EQ(r.wire->last_progress(), r.time.time);
    r.time.time += 4'900ms;
    EXPECT_FALSE(r.wire->slow(r.limits));
    r.time.time += 200ms;
    EXPECT_TRUE(r.wire->slow(r.limits));
    // With little waiting, nobody needs to take anything.
    r.wire->make_room(150'000);
    r.time.time += 1h;
    EXPECT_FALSE(r.wire->slow(r.limits));
}

// Nothing more may come that would have it judged.
TEST(slow, who_was_not_slow_yet_is_looked_at_again) {
    rig r;
    const auto pass = [&](std::chrono::milliseconds span) {
        r.time.time += span;
        r.home.wheel().advance(r.time.time);
    };
    r.queue(200'000);
    EXPECT_FALSE(r.wire->slow(r.limits));
    pass(4'900ms);
    EXPECT_EQ(r.peer.asked_again, 0);
    pass(200ms);
    EXPECT_EQ(r.peer.asked_again, 1);
    EXPECT_TRUE(r.wire->slow(r.limits));
    // One that is read from in the meantime is left in peace.
    r.wire->make_room(1'000'000);
    pass(1h);
    EXPECT_EQ(r.peer.asked_again, 1);
    EXPECT_TRUE(r.wire->open());
}

TEST(slow, is_who_is_beyond_the_hard_bound_even_while_it_takes_something) {
    rig r;
    for (int i = 0; i < 9; ++i) r.queue(100'000);
    r.home.turn();
    EXPECT_FALSE(r.wire->slow(r.limits));
    r.wire->make_room(50'000);
    r.queue(200'000);
    EXPECT_TRUE(r.wire->slow(r.limits));
    r.wire->room += 2'000'000;
    r.queue(300'000);
    EXPECT_FALSE(r.wire->slow(r.limits));  // the socket had become writable, and the loop had not heard of it yet
    EXPECT_EQ(r.wire->queued_bytes(), 0u);
}

TEST(slow, nobody_has_patience_when_the_whole_shard_holds_too_much) {
    rig r;
    r.queue(200'000);
    r.home.turn();
    EXPECT_FALSE(r.wire->slow(r.limits));
    r.limits.shard_bytes_max = 150'000;
    EXPECT_TRUE(r.wire->slow(r.limits));
}

TEST(flush, a_burst_within_a_turn_is_written_before_the_turn_ends) {
    rig r;
    r.wire->room = SIZE_MAX;
    for (int i = 0; i < 100; ++i) r.queue(50'000);
    EXPECT_LT(r.wire->queued_bytes(), stream_options{}.flush_bytes);
    EXPECT_GT(r.wire->taken, 4'000'000u);
    EXPECT_LT(r.wire->writes, 30);
}

TEST(flush, tells_the_handler_nothing_before_the_turn_ends) {
    rig r;
    r.wire->room = 100'000;
    r.queue(300'000);  // above the high watermark, and tried at once
    EXPECT_TRUE(r.wire->above_high_watermark());
    r.wire->room = 1'000'000;
    r.wire->flush_now();
    EXPECT_EQ(r.wire->queued_bytes(), 0u);
    EXPECT_EQ(r.peer.drained, 0);
    r.home.turn();
    EXPECT_EQ(r.peer.drained, 1);

    r.wire->broken = asio::error::connection_reset;
    r.queue(300'000);
    EXPECT_FALSE(r.peer.why);
    EXPECT_TRUE(r.wire->open());
    r.home.turn();
    EXPECT_EQ(r.peer.why, asio::error::connection_reset);
}

TEST(flush, a_handler_that_queues_more_when_it_is_drained_is_served) {
    rig r;
    int rounds = 0;
    r.peer.act = [&] {
        if (++rounds < 5) r.queue(300'000);
    };
    r.queue(300'000);
    for (int i = 0; i < 20; ++i) {
        r.wire->make_room(150'000);
        r.home.turn();
    }
    EXPECT_EQ(rounds, 5);
    EXPECT_EQ(r.wire->taken, 1'500'000u);
}

// However much is queued meanwhile.
TEST(stuck, is_who_takes_nothing_and_not_who_takes_little) {
    rig r;
    EXPECT_FALSE(r.wire->stuck_for(0s)) << "nothing waits";
    r.queue(100'000);
    r.home.turn();
    r.time.time += 20s;
    EXPECT_TRUE(r.wire->stuck_for(20s));
    EXPECT_FALSE(r.wire->stuck_for(21s));
    r.queue(100'000);
    r.wire->make_room(1);
    EXPECT_FALSE(r.wire->stuck_for(1s));
    r.time.time += 20s;
    EXPECT_TRUE(r.wire->stuck_for(20s));
    r.wire->make_room(1'000'000);
    EXPECT_FALSE(r.wire->stuck_for(0s));
}

TEST(silent, any_octets_are_a_sign_of_life) {
    rig r;
    r.time.time += 10s;
    EXPECT_TRUE(r.wire->silent_for(10s));
    r.wire->receive("a part of a large frame");
    EXPECT_EQ(r.wire->last_octets_at(), r.time.time);
    r.time.time += 9s;
    EXPECT_FALSE(r.wire->silent_for(10s));
    r.time.time += 1s;
    EXPECT_TRUE(r.wire->silent_for(10s));
}

TEST(silent, whoever_takes_what_waits_lives) {
    rig r;
    r.queue(1'000'000);
    r.home.turn();
    for (int i = 0; i < 10; ++i) {
        r.time.time += 9s;
        EXPECT_FALSE(r.wire->silent_for(10s)) << i;
        r.wire->make_room(100);
    }
    r.time.time += 10s;
    EXPECT_TRUE(r.wire->silent_for(10s));
}

TEST(silent, nobody_is_who_is_not_read_from) {
    rig r;
    r.wire->pause_reading();
    r.time.time += 1h;
    EXPECT_FALSE(r.wire->silent_for(10s));
    r.wire->resume_reading();
    r.time.time += 9s;
    EXPECT_FALSE(r.wire->silent_for(10s));
    r.time.time += 1s;
    EXPECT_TRUE(r.wire->silent_for(10s));
}

// A real connection to a peer with a small window.
TEST(taking, a_peer_that_goes_on_reading_takes_and_one_that_has_stopped_does_not) {
    net::runtime cores(1);
    shard& home = cores.at(0);
    tcp::acceptor door(home.context(), {asio::ip::make_address("127.0.0.1"), 0});
    tcp::socket reader(home.context());
    reader.open(tcp::v4());
    reader.set_option(asio::socket_base::receive_buffer_size(32 * 1024));
    reader.connect(door.local_endpoint());
    tcp::socket accepted = door.accept();
    counting_listener nobody;
    const auto wire = stream::plain(home, std::move(accepted));
    wire->start(nobody);
    EXPECT_FALSE(wire->taking());
    EXPECT_FALSE(wire->taking()) << "there is nothing to take";
    std::vector<char> buffer(1024 * 1024);
    // The systems at both ends do their part in their own time.
    const auto comes_to = [&](bool wanted) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (std::chrono::steady_clock::now() < end) {
            home.turn();
            if (wire->taking() == wanted) return true;
            std::this_thread::sleep_for(5ms);
        }
        return false;
    };
    reader.non_blocking(true);
    const auto read = [&](std::size_t octets) {
        while (octets > 0) {
            error_code error;
            octets -= reader.read_some(asio::buffer(buffer, std::min(octets, buffer.size())), error);
            if (error) std::this_thread::sleep_for(1ms);
            home.turn();
        }
    };
    wire->send(frame_ref::copy(std::string(2'000'000, 'x')));
    home.turn();
    EXPECT_TRUE(comes_to(false)) << "its window is full";
    std::size_t left = 2'000'000;
    for (int i = 0; i < 10; ++i, left -= 100'000) {
        read(100'000);
        EXPECT_TRUE(comes_to(true)) << i;
    }
    EXPECT_TRUE(comes_to(false)) << "it has stopped";
    read(left);
    EXPECT_TRUE(comes_to(true));
    EXPECT_TRUE(comes_to(false)) << "there is nothing left to take";
    wire->abort();
}

}  // namespace foz::net
