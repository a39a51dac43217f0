#include "contract/channel_settings.hpp"
#include "contract/correlation.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "contract/topology.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace foz::contract {

TEST(correlation, round_trips_any_client_and_fits_a_short_string) {
    for (const char* name : {"anon-abc", "a:b.c", "\xc3\xa9t\xc3\xa9", "x"}) {
        const correlation c{client_id(name), correlation::request_kind::responder, "6ba7b810-9dad-11d1.x:y"};
        EXPECT_EQ(parse_correlation(to_string(c)), c);
    }
    for (const auto kind : {correlation::request_kind::message, correlation::request_kind::responder}) {
        const correlation longest{client_id(std::string(128, 'x')), kind, std::string(64, 'y')};
        EXPECT_LE(to_string(longest).size(), 255u);
        EXPECT_EQ(parse_correlation(to_string(longest)), longest);
    }
}

TEST(correlation, a_responder_request_names_its_socket_and_its_id_where_there_is_room) {
    correlation c{client_id("anon-abc"), correlation::request_kind::responder, "7", "Socket", "id.1:2"};
    EXPECT_EQ(to_string(c), "YW5vbi1hYmM:r.Socket.017id.1:2");
    EXPECT_EQ(parse_correlation(to_string(c)), c);
    c.client = client_id(std::string(128, 'x'));
    c.request = std::string(64, 'y');
    c.id = std::string(64, 'z');
    EXPECT_LE(to_string(c).size(), 255u);
    c.id.clear();
    EXPECT_EQ(parse_correlation(to_string(c)), c);
}

TEST(correlation, what_others_made_is_not_parsed) {
    for (const char* text :
         {"", "abc", ":r.x", "YQ:x.y", "YQ:r.", "YQ:r", "YQ=:r.x", "!!:r.x", "YQ:rx", "YQ:r.x", "YQ:r.socket.00",
          "YQ:r.socket.05abcd", "YQ:r.socket.1", "YQ:r.toolong.01a", "YQ:r.socket.x1a"})
        EXPECT_FALSE(parse_correlation(text)) << text;
}

TEST(receivers, round_trip_and_are_read_in_every_form_a_worker_may_use) {
    const std::vector<std::string> names{"a", "b\"c", "session:x", "[odd]"};
    const amqp::field_value text(encode_receivers(names));
    EXPECT_EQ(parse_receivers(&text), names);
    const amqp::field_value one("team-1"), array(amqp::field_array{"a", "b"});
    EXPECT_EQ(parse_receivers(&one), std::vector<std::string>{"team-1"});
    EXPECT_EQ(parse_receivers(&array), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(parse_receivers(nullptr), std::vector<std::string>{});
}

TEST(receivers, anything_else_is_refused) {
    const std::vector<std::string> many(receivers_limit + 1, "x");
    for (const amqp::field_value& bad :
         {amqp::field_value(1), amqp::field_value("[1]"), amqp::field_value("[\"a\""), amqp::field_value("[[]]"),
          amqp::field_value(amqp::field_array{1}), amqp::field_value(encode_receivers(many))})
        EXPECT_FALSE(parse_receivers(&bad));
}

TEST(channel_settings, names_follow_the_contract) {
    const auto channels = default_channels();
    ASSERT_EQ(channels.size(), 3u);
    EXPECT_EQ(channels[1].in_queue(), "IN_CHAT");
    EXPECT_EQ(channels[1].out_queue(), "OUT_CHAT");
    EXPECT_EQ(channels[0].delivery, delivery_kind::volatile_);
    EXPECT_EQ(check_channel_name("chat-2"), "");
    for (const char* bad : {"", "Chat", "2chat", "a.b", "a#", "a b", "-a"})
        EXPECT_NE(check_channel_name(bad), "") << bad;
}

TEST(topology, work_queues_are_quorum_queues_that_lose_nothing) {
    const auto all = make_topology(default_channels());
    const auto at =
        std::find_if(all.queues.begin(), all.queues.end(), [](const auto& q) { return q.queue == "IN_CHAT"; });
    ASSERT_NE(at, all.queues.end());
    EXPECT_TRUE(at->durable);
    EXPECT_EQ(amqp::as_string(at->arguments.find("x-queue-type")), "quorum");
    EXPECT_EQ(amqp::as_string(at->arguments.find("x-dead-letter-exchange")), dead_exchange);
    EXPECT_EQ(amqp::as_string(at->arguments.find("x-dead-letter-strategy")), "at-least-once");
    EXPECT_EQ(amqp::as_string(at->arguments.find("x-overflow")), "reject-publish");
    EXPECT_EQ(amqp::as_int64(at->arguments.find("x-delivery-limit")), 20);
}

TEST(topology, only_durable_channels_have_a_stream) {
    const auto all = make_topology(default_channels());
    std::vector<std::string> streams;
    for (const auto& q : all.queues)
        if (amqp::as_string(q.arguments.find("x-queue-type")) == "stream") streams.push_back(q.queue);
    EXPECT_EQ(streams, (std::vector<std::string>{"OUT_CHAT", "OUT_TICKETS"}));
}

// Streams are published to on channels of their own: inbound messages go to a queue, volatile ones to several.
TEST(channel_settings, know_the_stream_that_takes_a_message) {
    const auto all = default_channels();
    const auto name = [&](std::string_view exchange, std::string_view key) {
        const auto* const found = stream_of(all, exchange, key);
        return found ? found->name : "";
    };
    EXPECT_EQ(name(outbound_exchange, "chat"), "chat");
    EXPECT_EQ(name(outbound_exchange, "tickets.ticket.new"), "tickets");
    EXPECT_EQ(name("", "OUT_CHAT"), "chat");
    EXPECT_EQ(name(outbound_exchange, "voice"), "");
    EXPECT_EQ(name("", "OUT_VOICE"), "");
    EXPECT_EQ(name("", "IN_CHAT"), "");
    EXPECT_EQ(name("", "somebody's"), "");
    EXPECT_EQ(name(inbound_exchange, "chat"), "");
    EXPECT_EQ(name(outbound_exchange, "chatter"), "");
    EXPECT_EQ(name("other", "chat"), "");
}

}  // namespace foz::contract
