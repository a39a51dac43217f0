// What a hostile or unlucky client can do: nothing to the others, and little to the memory.
#include "amqp/codec/property_view.hpp"
#include "broker/front/tests/rig.hpp"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

// A frame with any type, size and end that one likes.
std::string raw_frame(int type, std::uint16_t number, std::string_view payload, char end = '\xce') {
    std::string out;
    amqp::writer to(out);
    to.u8(static_cast<std::uint8_t>(type));
    to.u16(number);
    to.long_string(payload);
    out += end;
    return out;
}

std::string header_frame(std::uint16_t number, std::uint64_t body_size, std::string_view properties = {"\0\0", 2},
                         std::uint16_t class_id = 60, std::uint16_t weight = 0) {
    std::string payload;
    amqp::writer to(payload);
    to.u16(class_id);
    to.u16(weight);
    to.u64(body_size);
    to.octets(properties);
    return raw_frame(2, number, payload);
}

std::string method_frame(std::uint16_t number, const amqp::method& m) {
    std::string out;
    (void)amqp::encode_method(out, number, m);
    return out;
}

std::string publish_frame(std::uint16_t number = 1) {
    amqp::basic_publish m;
    m.routing_key = "q";
    return method_frame(number, m);
}

// What may be encoded already, and the last message.
constexpr std::size_t slack = 200'000;

std::size_t queued(const client& c) {
    return c.wire->queued_bytes();
}

}  // namespace

TEST(hostile, frames_that_end_the_connection) {
    struct row {
        const char* what;
        std::string octets;
        int reply_code;
    };
    amqp::basic_deliver deliver;
    const row rows[] = {
        {"a header without a method", header_frame(1, 1), 505},
        {"a body without a header", raw_frame(3, 1, "x"), 505},
        {"a body where a header is due", publish_frame() + raw_frame(3, 1, "x"), 505},
        {"a header after a header", publish_frame() + header_frame(1, 1) + header_frame(1, 1), 505},
        {"a method where a header is due", publish_frame() + publish_frame(), 505},
        {"a method where a body is due", publish_frame() + header_frame(1, 1) + publish_frame(), 505},
        {"more body than announced", publish_frame() + header_frame(1, 1) + raw_frame(3, 1, "xx"), 501},
        {"a header of another class", publish_frame() + header_frame(1, 1, {"\0\0", 2}, 50), 501},
        {"a header with a weight", publish_frame() + header_frame(1, 1, {"\0\0", 2}, 60, 1), 501},
        {"unknown property flags", publish_frame() + header_frame(1, 0, {"\0\1", 2}), 502},
        {"properties that are cut", publish_frame() + header_frame(1, 0, {"\x80\0\x05", 3}), 502},
        {"a method on a channel that is not open", method_frame(7, amqp::tx_select{}), 504},
        {"a publish on a channel that is not open", publish_frame(7) + header_frame(7, 0), 504},
        {"a body on a channel that is not open", raw_frame(3, 7, "x"), 504},
        {"a channel opened twice", method_frame(1, amqp::channel_open{}), 504},
        {"an unknown class", raw_frame(1, 1, {"\x12\x34\0\x0a", 4}), 540},
        {"an unknown method", raw_frame(1, 1, {"\0\x3c\x12\x34", 4}), 540},
        {"a method that is cut", raw_frame(1, 1, {"\0\x32\0\x0a\0\0\x05q", 8}), 502},
        {"a method with octets behind it", raw_frame(1, 1, {"\0\x5a\0\x0a!", 5}), 502},
        {"an empty method", raw_frame(1, 1, ""), 502},
        {"a frame of an unknown type", raw_frame(7, 1, "x"), 501},
        {"a wrong end", raw_frame(1, 1, {"\0\x5a\0\x0a", 4}, 'x'), 501},
        {"a heartbeat on a channel", raw_frame(8, 1, ""), 501},
        {"a heartbeat with content", raw_frame(8, 0, "x"), 501},
        {"a frame too large", std::string("\1\0\1\0\2\0\0", 7) + std::string(200, 'x'), 501},
        {"a negative size", std::string("\1\0\1\xff\xff\xff\xff", 7), 501},
        {"a publish on channel 0", publish_frame(0), 503},
        {"a declaration on channel 0", method_frame(0, amqp::queue_declare{}), 503},
        {"a connection opened twice", method_frame(0, client::enter()), 503},
        {"a login that comes late", method_frame(0, client::login()), 503},
        {"what only a broker says", method_frame(1, amqp::queue_declare_ok{}), 503},
        {"a delivery from a client", method_frame(1, deliver) + header_frame(1, 0), 503},
        {"start from a client", method_frame(0, amqp::connection_start{}), 503},
        {"a channel method on channel 0", method_frame(0, amqp::channel_open{}), 503},
        {"a connection method on a channel", method_frame(1, amqp::connection_close{}), 503},
    };
    for (const row& one : rows) {
        front_rig r;
        client bystander(r);
        client c(r);
        bystander.open();
        bystander.declare("q");
        c.open();
        c.send(one.octets);
        (void)c.read();
        EXPECT_EQ(c.close ? static_cast<int>(c.close->reply_code) : 0, one.reply_code) << one.what;
        // Nothing that comes behind does anything.
        c.send(publish_frame() + header_frame(1, 0));
        c.send("garbage");
        EXPECT_EQ(r.find("q").ready_count(), 0u) << one.what;
        r.pass(2'100ms);
        EXPECT_EQ(r.listed.size(), 1u) << one.what;
        bystander.publish(1, "q", "still here");
        EXPECT_EQ(r.find("q").ready_count(), 1u);
    }
}

TEST(hostile, a_body_over_the_limit_closes_the_channel_before_it_comes) {
    for (const std::uint64_t size : {(std::uint64_t{128} << 20) + 1, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
        front_rig r;
        client c(r);
        c.open();
        c.send(publish_frame() + header_frame(1, size));
        const auto said = c.read();
        ASSERT_THAT(names(said), ElementsAre("channel.close")) << size;
        EXPECT_EQ(said[0].as<amqp::channel_close>()->reply_code, 406);
        c.send(raw_frame(3, 1, "what was on its way"));
        c.send(1, amqp::channel_close_ok{});
        c.expect<amqp::channel_open_ok>(1, amqp::channel_open{});
    }
}

TEST(hostile, nothing_but_the_handshake_before_the_handshake) {
    const std::string header(amqp::protocol_header_octets);
    const std::string login = method_frame(0, client::login());
    const std::string tune = method_frame(0, client::tune());
    for (const std::string& octets :
         {header + method_frame(0, client::enter()), header + tune, header + method_frame(1, amqp::channel_open{}),
          header + publish_frame(), header + publish_frame(0) + header_frame(0, 1 << 20), header + login + login,
          header + login + method_frame(0, client::enter()), header + login + tune + tune,
          header + login + tune + method_frame(1, amqp::channel_open{}), header + raw_frame(3, 0, "body"),
          header + std::string("\1\0\0\0\0\xff\xff", 7), header + header}) {
        front_rig r;
        client c(r);
        c.send(octets);
        const auto said = c.read();
        EXPECT_TRUE(c.close) << octets.size();
        for (const received& one : said) EXPECT_NE(one.name(), "connection.open-ok");
        r.pass(2'100ms);
        EXPECT_TRUE(r.listed.empty());
    }
}

TEST(hostile, who_does_not_finish_the_handshake_is_gone_after_its_time) {
    const std::string steps[] = {std::string(), std::string("AMQP"), std::string(amqp::protocol_header_octets),
                                 std::string(amqp::protocol_header_octets) + method_frame(0, client::login()),
                                 std::string(amqp::protocol_header_octets) + method_frame(0, client::login()) +
                                     method_frame(0, client::tune(1))};
    for (const std::string& step : steps) {
        front_rig r;
        client c(r);
        c.send(step);
        r.pass(9s);
        c.send(raw_frame(8, 0, ""));  // a heartbeat is no progress
        r.pass(1'100ms);
        EXPECT_TRUE(r.listed.empty()) << step.size();
    }
}

// The socket dies, or the client closes, or says nonsense, after every octet of a session with everything in it.
TEST(hostile, an_end_at_every_octet_of_a_session) {
    amqp::queue_declare q;
    q.queue = "q";
    q.auto_delete = true;
    q.arguments = {{"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", "q"}};
    amqp::queue_declare mine;
    mine.queue = "mine";
    mine.exclusive = true;
    amqp::basic_consume consume;
    consume.queue = "q";
    consume.consumer_tag = "t";
    amqp::basic_nack nack;
    nack.delivery_tag = 1;
    nack.requeue = false;
    amqp::basic_get get;
    get.queue = "q";
    std::string octets(amqp::protocol_header_octets);
    octets += method_frame(0, client::login()) + method_frame(0, client::tune(10)) + method_frame(0, client::enter());
    octets += method_frame(1, amqp::channel_open{}) + method_frame(2, amqp::channel_open{});
    octets +=
        method_frame(1, q) + method_frame(1, mine) + method_frame(1, amqp::confirm_select{}) + method_frame(2, consume);
    octets += client::content(1, "", "q", "body") + client::content(1, "", "mine", "body") + method_frame(2, nack) +
              method_frame(1, get) + method_frame(1, amqp::channel_close{}) + method_frame(0, amqp::connection_close{});
    enum way { death, nonsense, shut_down, timeout };
    for (const way how : {death, nonsense, shut_down, timeout}) {
        front_rig r;
        for (std::size_t size = 0; size <= octets.size(); size += how == death ? 1 : 7) {
            client c(r);
            c.send(std::string_view(octets).substr(0, size));
            if (how == death) c.hang_up();
            if (how == nonsense) c.send("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
            if (how == shut_down) {
                const auto all = r.listed;
                for (const auto& [key, one] : all) one->shut_down();
            }
            r.commit();
            (void)c.wire->take();
            r.pass(how == timeout || how == nonsense ? 30s : 2'100ms);
            ASSERT_TRUE(r.listed.empty()) << size << " way " << how;
            ASSERT_FALSE(r.has("mine")) << size << " way " << how;
        }
    }
}

TEST(hostile, a_slow_reader_fills_the_queue_and_not_the_memory) {
    front_rig r;
    client slow(r);
    client publisher(r);
    slow.open();
    publisher.open();
    slow.declare("q");
    slow.consume("q", true);
    const std::string body(10'000, 'x');
    constexpr int count = 3'000;
    std::size_t most = 0;
    for (int i = 0; i < count; ++i) {
        publisher.publish(1, "q", body);
        most = std::max(most, queued(slow));
    }
    EXPECT_LT(most, r.limits.queued_bytes_max + slack);
    EXPECT_GT(r.find("q").ready_count(), 2'800u);
    std::size_t got = 0;
    while (got < count) {
        const auto some = slow.read(100'000);
        ASSERT_FALSE(some.empty() && queued(slow) == 0) << got;
        got += some.size();
        ASSERT_LT(queued(slow), r.limits.queued_bytes_max + slack);
    }
}

// A consumer without prefetch, and a queue that is there before it comes.
TEST(hostile, a_long_queue_is_not_delivered_in_one_turn) {
    front_rig r;
    client c(r);
    c.open();
    c.declare("q");
    const std::string body(100'000, 'x');
    for (int i = 0; i < 200; ++i) c.publish(1, "q", body);
    c.consume("q", true);
    c.consume("q", false);
    EXPECT_LT(queued(c), r.limits.queued_bytes_max + slack);
    EXPECT_EQ(bodies(c.read_all()).size(), 200u);
}

// The address that a channel's replies go to.
std::string reply_address(client& asking, client& worker) {
    amqp::basic_properties properties;
    properties.reply_to = "amq.rabbitmq.reply-to";
    asking.publish(1, "questions", "?", properties);
    const auto got = worker.read();
    return amqp::decode_properties(got.at(0).encoded_properties).reply_to.value();
}

// Four that answer at once, with far more than a socket takes.
TEST(hostile, replies_that_do_not_fit_into_the_socket_wait) {
    front_rig r;
    client asking(r);
    asking.open();
    asking.declare("questions");
    asking.consume("amq.rabbitmq.reply-to", true);
    std::vector<std::unique_ptr<client>> workers;
    for (int i = 0; i < 4; ++i) workers.push_back(std::make_unique<client>(r));
    for (const auto& one : workers) one->open();
    workers[0]->consume("questions", true);
    const std::string address = reply_address(asking, *workers[0]);
    std::vector<std::string> wanted;
    for (int i = 0; i < 200; ++i) {
        wanted.push_back(std::to_string(i) + std::string(100'000, 'x'));
        workers[static_cast<std::size_t>(i) % 4]->publish(1, address, wanted.back());
        EXPECT_LT(queued(asking), r.limits.queued_bytes_max + slack);
    }
    const auto got = bodies(asking.read_all());
    EXPECT_EQ(got.size(), 200u);
    EXPECT_TRUE(got == wanted) << "in order";
}

TEST(hostile, replies_that_nobody_reads_are_bounded) {
    front_rig r({.queued_bytes_max = 10'000, .replies_bytes_max = 100'000});
    client asking(r);
    asking.open();
    asking.declare("questions");
    asking.consume("amq.rabbitmq.reply-to", true);
    client worker(r);
    worker.open();
    worker.consume("questions", true);
    const std::string address = reply_address(asking, worker);
    for (int i = 0; i < 1'000; ++i) worker.publish(1, address, std::string(1'000, 'x'));
    const auto got = asking.read_all();
    EXPECT_GT(got.size(), 50u);
    EXPECT_LT(got.size(), 150u);
    worker.publish(1, address, "later");
    EXPECT_EQ(bodies(asking.read_all()), std::vector<std::string>{"later"});
}

TEST(hostile, questions_whose_answers_nobody_reads) {
    front_rig r({.answers_bytes_max = 4 << 20});
    client c(r);
    c.open();
    c.declare("q");
    const std::string body(1 << 20, 'x');
    c.publish(1, "q", body);
    amqp::basic_get get;
    get.queue = "q";
    amqp::basic_nack back;
    back.requeue = true;
    back.multiple = true;
    std::string storm;
    for (int i = 0; i < 500; ++i) storm += method_frame(1, get) + method_frame(1, back);
    c.send(storm);
    EXPECT_LT(queued(c), r.limits.answers_bytes_max + 2 * body.size());
    client other(r);
    other.open();
    other.publish(1, "q", "others go on");
    EXPECT_EQ(r.listed.size(), 2u);
    // When it reads, everything is answered in order.
    std::size_t answers = 0;
    std::uint64_t last = 0;
    for (const received& one : c.read_all()) {
        const auto* const ok = one.as<amqp::basic_get_ok>();
        ASSERT_TRUE(ok) << one.name();
        EXPECT_EQ(ok->delivery_tag, ++last);
        ++answers;
    }
    EXPECT_EQ(answers, 500u);
    EXPECT_EQ(c.waiting(), 0u);
}

TEST(hostile, who_neither_reads_nor_speaks_with_answers_waiting_is_dead) {
    front_rig r({.answers_bytes_max = 1 << 20});
    client c(r);
    c.open(1, 10);
    c.declare("q");
    const std::string body(1 << 20, 'x');
    c.publish(1, "q", body);
    amqp::basic_get get;
    get.queue = "q";
    amqp::basic_nack back;
    back.multiple = true;
    back.requeue = true;
    for (int i = 0; i < 10; ++i) c.send(method_frame(1, get) + method_frame(1, back));
    EXPECT_GT(c.waiting() + queued(c), body.size());
    // As long as it reads something it lives.
    for (int i = 0; i < 10; ++i) {
        (void)c.wire->take(10'000);
        r.pass(5s);
    }
    EXPECT_EQ(r.listed.size(), 1u);
    for (int i = 0; i < 10; ++i) r.pass(5s);
    EXPECT_TRUE(r.listed.empty());
    EXPECT_EQ(r.find("q").unacked_count(), 0u);
}

TEST(hostile, missed_heartbeats_end_a_connection_and_its_consumers) {
    front_rig r;
    client silent(r);
    client alive(r);
    client without(r);
    silent.open(1, 10);
    alive.open(1, 10);
    without.open(1, 0);
    silent.declare("q");
    silent.consume("q");
    alive.publish(1, "q", "m");
    for (int i = 0; i < 12; ++i) {
        alive.send(raw_frame(8, 0, ""));
        r.pass(2'500ms);
        (void)alive.read();
        (void)silent.read();
    }
    EXPECT_EQ(r.listed.size(), 2u);
    EXPECT_EQ(r.find("q").ready_count(), 1u);
    EXPECT_EQ(r.find("q").consumer_count(), 0u);
    EXPECT_GE(silent.heartbeats, 3);
    EXPECT_GE(alive.heartbeats, 4);
    EXPECT_FALSE(alive.close);
}

TEST(hostile, half_a_frame_keeps_a_channel_from_nobody) {
    front_rig r;
    client half(r);
    client other(r);
    half.open(2);
    other.open();
    other.declare("q");
    // A publish whose body never ends, with other channels' frames in between.
    half.send(publish_frame() + header_frame(1, 1'000) + raw_frame(3, 1, "begin"));
    half.publish(2, "q", "whole");
    half.send(std::string("\3\0\1\0\0\1\0", 7) + "cut");
    EXPECT_EQ(r.find("q").ready_count(), 1u);
    half.hang_up();
    EXPECT_EQ(r.listed.size(), 1u);
    EXPECT_EQ(r.find("q").ready_count(), 1u);
}

TEST(hostile, a_blocked_publisher_is_not_read_from_and_goes_on_later) {
    front_rig r;
    client publisher(r);
    client consumer(r);
    publisher.open();
    consumer.open();
    consumer.declare("q");
    publisher.publish(1, "q", "first");
    for (const auto& [key, one] : r.listed) one->block(true, "the disk is full");
    const auto told = publisher.read();
    ASSERT_THAT(names(told), ElementsAre("connection.blocked"));
    EXPECT_EQ(told[0].as<amqp::connection_blocked>()->reason, "the disk is full");
    for (int i = 0; i < 100; ++i) publisher.publish(1, "q", "later");
    EXPECT_EQ(r.find("q").ready_count(), 1u);
    EXPECT_GT(publisher.waiting(), 0u);
    consumer.consume("q");
    EXPECT_THAT(bodies(consumer.read()), ElementsAre("first")) << "who only consumes is not stopped";
    for (const auto& [key, one] : r.listed) one->block(false, "");
    publisher.push();
    EXPECT_EQ(bodies(consumer.read()).size(), 100u);
    EXPECT_THAT(names(publisher.read()), ElementsAre("connection.unblocked"));
}

TEST(hostile, tables_nested_without_end_and_long_names) {
    front_rig r;
    std::string nested;
    for (int i = 0; i < 1'000; ++i)
        nested = std::string("\1kF\0\0", 5) + static_cast<char>(nested.size() >> 8) + static_cast<char>(nested.size()) +
                 nested;
    {
        client c(r);
        c.open();
        std::string properties("\x20\0\0\0", 4);
        properties += static_cast<char>(nested.size() >> 8);
        properties += static_cast<char>(nested.size());
        c.send(publish_frame() + header_frame(1, 0, properties + nested));
        (void)c.read();
        EXPECT_TRUE(c.close);
    }
    client c(r);
    c.open();
    const std::string longest(255, 'n');
    c.declare(longest, {{"x-dead-letter-exchange", longest}}, true);
    amqp::queue_bind bound;
    bound.queue = longest;
    bound.exchange = "amq.topic";
    bound.routing_key = longest;
    bound.arguments = {{longest, longest}};
    c.expect<amqp::queue_bind_ok>(1, bound);
    c.send(client::content(1, "amq.topic", longest, "m"));
    c.consume(longest, false, 1, longest);
    EXPECT_THAT(bodies(c.read()), ElementsAre("m"));
    c.nack(1, false, false);
    amqp::basic_consume again;
    again.queue = longest;
    again.consumer_tag = longest;
    const auto refused = c.call(1, again);
    ASSERT_EQ(refused.size(), 1u);  // its text has 255 octets at most
    EXPECT_EQ(c.close ? c.close->reply_code : refused[0].as<amqp::channel_close>()->reply_code, 530);
}

}  // namespace foz::broker
