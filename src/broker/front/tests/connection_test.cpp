// One client's connection: handshake, channels, confirms, deliveries, its end.
#include "broker/front/tests/rig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto code = [](const client& c) { return c.close ? static_cast<int>(c.close->reply_code) : 0; };

}  // namespace

TEST(connection, the_handshake_may_come_octet_by_octet) {
    front_rig r;
    client c(r);
    std::string octets(amqp::protocol_header_octets);
    for (const amqp::method& m :
         {amqp::method(client::login()), amqp::method(client::tune()), amqp::method(client::enter())})
        (void)amqp::encode_method(octets, 0, m);
    (void)amqp::encode_method(octets, 1, amqp::channel_open{});
    for (const char octet : octets) c.send({&octet, 1});
    EXPECT_THAT(names(c.read()),
                ElementsAre("connection.start", "connection.tune", "connection.open-ok", "channel.open-ok"));
}

TEST(connection, another_protocol_is_told_ours) {
    for (const std::string_view header :
         {std::string_view("AMQP\1\1\0\x0a", 8), std::string_view("GET / HTTP/1.1\r\n\r\n"),
          std::string_view("AMQP\0\1\0\0", 8), std::string_view("\0\0\0\0\0\0\0\0", 8),
          std::string_view("\x16\x03\x01\x02\0\x01\0\x01", 8)}) {
        front_rig r;
        client c(r);
        c.send(header);
        EXPECT_EQ(c.wire->take(), amqp::protocol_header_octets);
        EXPECT_TRUE(r.listed.empty());
        EXPECT_TRUE(c.wire->ended());
    }
}

TEST(connection, refused_logins) {
    struct row {
        amqp::connection_start_ok said;
        int reply_code;   // 0: the socket is closed without a word
        std::string log;  // empty: it is no login
    };
    amqp::connection_start_ok other = client::login();
    other.mechanism = "SCRAM-SHA-256";
    amqp::connection_start_ok short_response = client::login();
    short_response.response = "guest";
    amqp::connection_start_ok table = client::login();
    table.mechanism = "AMQPLAIN";
    const std::string wrong = ": no such user, or a wrong password";
    const row rows[] = {{client::login("guest", "wrong"), 403, "guest" + wrong},
                        {client::login("nobody", "guest"), 403, "nobody" + wrong},
                        {client::login("", ""), 403, wrong},
                        {client::login("guest", "wrong", {}), 0, "guest" + wrong},
                        {other, 530, ""},
                        {short_response, 502, ""},
                        {table, 502, ""}};
    for (const row& one : rows) {
        front_rig r;
        client c(r);
        c.send(amqp::protocol_header_octets);
        c.send(0, one.said);
        (void)c.read();
        EXPECT_EQ(code(c), one.reply_code);
        EXPECT_EQ(r.refused, one.log.empty() ? std::vector<std::string>() : std::vector{one.log});
        c.send(0, amqp::connection_close_ok{});
        EXPECT_TRUE(r.listed.empty());
    }
}

TEST(connection, clients_of_older_versions_are_taken_for_what_they_mean) {
    struct row {
        std::string_view header;
        int major, minor;
    };
    for (const row& one :
         {row{{"AMQP\1\1\0\x09", 8}, 0, 9}, row{{"AMQP\1\1\x08\0", 8}, 8, 0}, row{{"AMQP\1\1\x09\1", 8}, 8, 0}}) {
        front_rig r;
        client c(r);
        c.send(one.header);
        const auto said = c.read();
        ASSERT_EQ(said.size(), 1u);
        const auto* const start = said[0].as<amqp::connection_start>();
        ASSERT_TRUE(start);
        EXPECT_EQ(start->version_major, one.major);
        EXPECT_EQ(start->version_minor, one.minor);
    }
}

TEST(connection, amqplain_is_a_table_without_its_length) {
    front_rig r;
    client c(r);
    amqp::connection_start_ok said = client::login();
    said.mechanism = "AMQPLAIN";
    std::string table;
    amqp::writer to(table);
    write_table(to, {{"LOGIN", "guest"}, {"PASSWORD", "guest"}});
    said.response = table.substr(4);
    c.send(amqp::protocol_header_octets);
    c.send(0, said);
    EXPECT_THAT(names(c.read()), ElementsAre("connection.start", "connection.tune"));
}

TEST(connection, refused_tunings_and_virtual_hosts) {
    struct row {
        amqp::connection_tune_ok tune;
        std::string vhost;
        int reply_code;
    };
    amqp::connection_tune_ok large = client::tune();
    large.frame_max = 131'073;
    amqp::connection_tune_ok small = client::tune();
    small.frame_max = 4'095;
    const row rows[] = {{client::tune(0, 2'048), "/", 530}, {large, "/", 530},         {small, "/", 530},
                        {client::tune(), "none", 530},      {client::tune(), "", 530}, {client::tune(), "other", 0}};
    for (const row& one : rows) {
        front_rig r;
        client c(r);
        c.send(amqp::protocol_header_octets);
        c.send(0, client::login());
        c.send(0, one.tune);
        c.send(0, client::enter(one.vhost));
        (void)c.read();
        EXPECT_EQ(code(c), one.reply_code) << one.vhost;
    }
    front_rig r;
    client narrow(r);
    narrow.send(amqp::protocol_header_octets);
    narrow.send(0, client::login("narrow", "narrow"));
    narrow.send(0, client::tune());
    narrow.send(0, client::enter("other"));
    (void)narrow.read();
    EXPECT_EQ(code(narrow), 530);
}

TEST(connection, channels_up_to_the_negotiated_number) {
    front_rig r;
    client c(r);
    c.open(2'047);
    for (std::uint16_t i = 1; i <= 2'047; ++i) {
        amqp::queue_declare m;
        m.queue = "q";
        c.send(i, m);
    }
    EXPECT_EQ(c.read().size(), 2'047u);
    c.send(2'048, amqp::channel_open{});
    (void)c.read();
    EXPECT_EQ(code(c), 530);

    client few(r);
    few.send(amqp::protocol_header_octets);
    few.send(0, client::login());
    few.send(0, client::tune(0, 5));
    few.send(0, client::enter());
    few.send(5, amqp::channel_open{});
    EXPECT_EQ(few.read().back().name(), "channel.open-ok");
    few.send(6, amqp::channel_open{});
    (void)few.read();
    EXPECT_EQ(code(few), 530);
}

TEST(connection, a_channel_s_error_leaves_the_others_and_its_number_can_be_used_again) {
    front_rig r;
    client c(r);
    c.open(2);
    c.declare("q", {}, false, 2);
    amqp::queue_declare passive;
    passive.queue = "none";
    passive.passive = true;
    const auto said = c.call(1, passive);
    ASSERT_THAT(names(said), ElementsAre("channel.close"));
    EXPECT_EQ(said[0].as<amqp::channel_close>()->reply_code, 404);
    EXPECT_EQ(said[0].as<amqp::channel_close>()->reply_text, "NOT_FOUND - no queue 'none' in vhost '/'");
    EXPECT_EQ(said[0].as<amqp::channel_close>()->failing_class_id, 50);
    // What was on its way is dropped, whatever it is.
    c.publish(1, "q", "dropped");
    c.send(1, passive);
    c.send(1, amqp::channel_open{});
    EXPECT_THAT(c.read(), IsEmpty());
    c.publish(2, "q", "kept");
    EXPECT_EQ(r.find("q").ready_count(), 1u);
    c.send(1, amqp::channel_close_ok{});
    c.expect<amqp::channel_open_ok>(1, amqp::channel_open{});
    c.expect<amqp::channel_close_ok>(1, amqp::channel_close{});
    c.expect<amqp::channel_open_ok>(1, amqp::channel_open{});
}

TEST(connection, both_may_close_a_channel_at_once) {
    front_rig r;
    client c(r);
    c.open();
    amqp::queue_declare passive;
    passive.queue = "none";
    passive.passive = true;
    c.send(1, passive);
    c.send(1, amqp::channel_close{});
    c.send(1, amqp::channel_close_ok{});
    EXPECT_THAT(names(c.read()), ElementsAre("channel.close", "channel.close-ok"));
    c.expect<amqp::channel_open_ok>(1, amqp::channel_open{});
}

TEST(connection, confirms_come_in_order_when_the_disk_has_them) {
    front_rig r;
    client c(r);
    c.open();
    c.declare("q", {}, true);
    c.declare("full", {{"x-max-length", 1}, {"x-overflow", "reject-publish"}});
    r.commit();
    c.expect<amqp::confirm_select_ok>(1, amqp::confirm_select{});
    c.publish(1, "nobody", "1");
    const auto first = c.read();
    ASSERT_THAT(names(first), ElementsAre("basic.ack")) << "what reaches no queue waits for nothing";
    c.publish(1, "q", "2", persistent());
    c.publish(1, "q", "3", persistent());
    c.publish(1, "full", "4");
    c.publish(1, "full", "5");
    c.publish(1, "q", "6", persistent());
    EXPECT_THAT(c.read(), IsEmpty());
    r.commit();
    const auto said = c.read();
    ASSERT_THAT(names(said), ElementsAre("basic.ack", "basic.nack", "basic.ack"));
    EXPECT_EQ(said[0].as<amqp::basic_ack>()->delivery_tag, 4u);
    EXPECT_TRUE(said[0].as<amqp::basic_ack>()->multiple);
    EXPECT_EQ(said[1].as<amqp::basic_nack>()->delivery_tag, 5u);
    EXPECT_EQ(said[2].as<amqp::basic_ack>()->delivery_tag, 6u);
    c.send(client::content(1, "", "nobody", "7", {}, true));
    EXPECT_THAT(names(c.read()), ElementsAre("basic.return", "basic.ack")) << "the return comes first";
}

TEST(connection, a_consumer_whose_socket_dies_gives_back_what_it_had) {
    front_rig r;
    client dying(r);
    client other(r);
    dying.open();
    other.open();
    dying.declare("q");
    dying.prefetch(3);
    dying.consume("q");
    for (int i = 0; i < 5; ++i) other.publish(1, "q", std::to_string(i));
    EXPECT_THAT(bodies(dying.read()), ElementsAre("0", "1", "2"));
    dying.ack(2);
    EXPECT_THAT(bodies(dying.read()), ElementsAre("3"));
    other.consume("q");
    EXPECT_THAT(bodies(other.read()), ElementsAre("4"));
    dying.hang_up();
    const auto back = other.read();
    EXPECT_THAT(bodies(back), ElementsAre("0", "2", "3"));
    for (const received& one : back) EXPECT_TRUE(one.as<amqp::basic_deliver>()->redelivered);
    EXPECT_EQ(r.listed.size(), 1u);
}

// Each of a hundred channels of the dying connection would otherwise be given what the one before it gave back.
TEST(connection, an_end_counts_as_one_return) {
    for (const bool abruptly : {true, false}) {
        front_rig r;
        client dying(r);
        dying.open(100);
        dying.declare("q", {{"x-queue-type", "quorum"}, {"x-delivery-limit", 5}}, true);
        for (std::uint16_t i = 1; i <= 100; ++i) {
            dying.prefetch(1, i);
            dying.consume("q", false, i);
        }
        for (int i = 0; i < 100; ++i) dying.publish(1, "q", std::to_string(i));
        EXPECT_EQ(bodies(dying.read()).size(), 100u);
        if (abruptly)
            dying.hang_up();
        else
            EXPECT_THAT(names(dying.call(0, amqp::connection_close{})), ElementsAre("connection.close-ok"));
        EXPECT_EQ(r.find("q").ready_count(), 100u);
        client other(r);
        other.open();
        other.consume("q");
        const auto got = other.read();
        ASSERT_EQ(got.size(), 100u);
        for (const received& one : got) {
            const amqp::basic_properties properties = amqp::decode_properties(one.encoded_properties);
            ASSERT_TRUE(properties.headers);
            EXPECT_EQ(amqp::as_int64(properties.headers->find("x-delivery-count")), 1);
        }
    }
}

TEST(connection, nothing_is_lost_on_a_channel_that_goes) {
    for (const bool whole : {true, false}) {
        front_rig r;
        client c(r);
        c.open(2);
        c.declare("q", {{"x-single-active-consumer", true}});
        c.prefetch(2);
        c.consume("q", false, 1);
        c.consume("q", true, 1);  // comes next, and leaves with it
        c.consume("q", true, 2);
        for (int i = 0; i < 4; ++i) c.publish(1, "q", std::to_string(i));
        EXPECT_THAT(bodies(c.read()), ElementsAre("0", "1"));
        if (whole) {
            c.send(0, amqp::connection_close{});
            EXPECT_EQ(r.find("q").ready_count(), 4u);
        } else {
            c.send(1, amqp::channel_close{});
            const auto said = c.read();
            EXPECT_THAT(bodies(said), ElementsAre("0", "1", "2", "3"));
            for (const received& one : said) EXPECT_TRUE(!one.as<amqp::basic_deliver>() || one.number == 2);
        }
    }
}

// The dead letters are delivered on the channel that rejects, while it walks through what it has to settle.
TEST(connection, rejecting_many_onto_the_own_channel) {
    front_rig r;
    client c(r);
    c.open();
    c.declare("dead");
    c.declare("q", {{"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", "dead"}});
    c.consume("q");
    c.consume("dead");
    for (int i = 0; i < 2'000; ++i) c.publish(1, "q", std::to_string(i));
    EXPECT_EQ(bodies(c.read()).size(), 2'000u);
    c.nack(0, true, false);
    const auto dead = c.read();
    ASSERT_EQ(dead.size(), 2'000u);
    EXPECT_EQ(dead.front().as<amqp::basic_deliver>()->delivery_tag, 2'001u);
    EXPECT_EQ(dead.back().body, "1999");
    c.ack(4'000, true);
    EXPECT_EQ(r.find("dead").unacked_count(), 0u);
    EXPECT_EQ(r.find("q").unacked_count(), 0u);
}

TEST(connection, deleting_what_is_in_use_tells_its_consumers) {
    front_rig r;
    client a(r);
    client b(r);
    a.open(2);
    b.open();
    a.declare("q");
    a.consume("q", false, 1, "own");
    a.consume("q", false, 1, "own too");
    a.consume("q", false, 2, "beside");
    b.consume("q", false, 1, "other");
    for (int i = 0; i < 8; ++i) b.publish(1, "q", "m");
    (void)a.read();
    (void)b.read();
    amqp::queue_delete m;
    m.queue = "q";
    EXPECT_THAT(names(a.call(1, m)),
                testing::UnorderedElementsAre("basic.cancel", "basic.cancel", "basic.cancel", "queue.delete-ok"));
    EXPECT_THAT(names(b.read()), ElementsAre("basic.cancel"));
    // What they had is settled with nobody.
    a.ack(1);
    b.nack(0, true, true);
    a.send(1, amqp::channel_close{});
    b.hang_up();
    EXPECT_THAT(names(a.read()), ElementsAre("channel.close-ok"));
}

TEST(connection, what_deletes_itself_goes_with_cancel_channel_and_connection) {
    enum way { cancel, channel, connection, death };
    for (const way how : {cancel, channel, connection, death}) {
        front_rig r;
        client c(r);
        c.open();
        amqp::exchange_declare x;
        x.exchange = "x";
        x.type = "fanout";
        x.auto_delete = true;
        c.expect<amqp::exchange_declare_ok>(1, x);
        amqp::queue_declare q;
        q.queue = "q";
        q.auto_delete = true;
        c.expect<amqp::queue_declare_ok>(1, q);
        amqp::queue_bind bound;
        bound.queue = "q";
        bound.exchange = "x";
        c.expect<amqp::queue_bind_ok>(1, bound);
        c.consume("q", false, 1, "tag");
        c.publish(1, "q", "m");
        amqp::basic_cancel gone;
        gone.consumer_tag = "tag";
        if (how == cancel) c.send(1, gone);
        if (how == channel) c.send(1, amqp::channel_close{});
        if (how == connection) c.send(0, amqp::connection_close{});
        if (how == death) c.hang_up();
        EXPECT_FALSE(r.has("q"));
        EXPECT_FALSE(r.host().find_exchange("x"));
    }
}

TEST(connection, exclusive_queues_go_with_their_connection_also_while_it_consumes_from_them) {
    front_rig r;
    client c(r);
    client other(r);
    c.open(2);
    other.open();
    amqp::queue_declare mine;
    mine.queue = "mine";
    mine.exclusive = true;
    c.expect<amqp::queue_declare_ok>(1, mine);
    c.consume("mine", false, 1);
    c.consume("mine", true, 2);
    for (int i = 0; i < 10; ++i) other.publish(1, "mine", "m");
    amqp::basic_get get;
    get.queue = "mine";
    EXPECT_EQ(other.call(1, get).at(0).as<amqp::channel_close>()->reply_code, 405);
    c.hang_up();
    EXPECT_FALSE(r.has("mine"));
}

TEST(connection, permissions_are_asked_for) {
    front_rig r;
    client c(r);
    c.open(0, 0, "narrow");
    const auto refusal_of = [&](const amqp::method& m) {
        c.expect<amqp::channel_open_ok>(1, amqp::channel_open{});
        const auto said = c.call(1, m);
        const bool closed = !said.empty() && said[0].as<amqp::channel_close>();
        c.send(1, closed ? amqp::method(amqp::channel_close_ok{}) : amqp::method(amqp::channel_close{}));
        (void)c.read();
        return closed ? said[0].as<amqp::channel_close>()->reply_text : std::string();
    };
    amqp::queue_declare declare;
    declare.queue = "mine.q";
    EXPECT_EQ(refusal_of(declare), "");
    declare.queue = "yours";
    EXPECT_EQ(refusal_of(declare), "ACCESS_REFUSED - access to queue 'yours' in vhost '/' refused for user 'narrow'");
    amqp::queue_bind bound;
    bound.queue = "mine.q";
    bound.exchange = "amq.topic";
    EXPECT_NE(refusal_of(bound), "");
    amqp::basic_get get;
    get.queue = "yours";
    EXPECT_NE(refusal_of(get), "");
}

TEST(connection, a_transaction_that_waits_for_the_disk_is_forgotten_with_its_channel) {
    front_rig r;
    client c(r);
    c.open();
    c.declare("q", {}, true);
    r.commit();
    c.expect<amqp::tx_select_ok>(1, amqp::tx_select{});
    c.publish(1, "q", "m", persistent());
    EXPECT_EQ(r.find("q").ready_count(), 0u);
    c.send(1, amqp::tx_commit{});
    EXPECT_THAT(c.read(), IsEmpty());
    amqp::queue_declare passive;
    passive.queue = "none";
    passive.passive = true;
    c.send(1, passive);
    r.commit();
    EXPECT_THAT(names(c.read()), ElementsAre("channel.close")) << "and nothing behind it";
    EXPECT_EQ(r.find("q").ready_count(), 1u);
}

TEST(connection, a_shutdown_tells_everyone_and_ends_in_two_seconds) {
    front_rig r;
    client open(r);
    client early(r);
    client silent(r);
    open.open();
    early.send(amqp::protocol_header_octets);
    silent.open();
    const auto all = r.listed;
    for (const auto& [key, one] : all) one->shut_down();
    EXPECT_THAT(names(open.read()), ElementsAre("connection.close"));
    EXPECT_EQ(code(open), 320);
    open.send(0, amqp::connection_close_ok{});
    EXPECT_EQ(r.listed.size(), 1u);
    r.pass(2'100ms);
    EXPECT_TRUE(r.listed.empty());
}

}  // namespace foz::broker
