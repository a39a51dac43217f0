#include "amqp/codec/frame_parser.hpp"

#include "amqp/codec/encode.hpp"
#include "amqp/codec/tests/octets.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

struct outcome {
    std::vector<std::string> frames;  // "type/channel/payload"
    std::optional<frame_error> error;
    bool operator==(const outcome&) const = default;
};

void feed(frame_parser& parser, std::string_view input, outcome& out) {
    for (;;) {
        const auto next = parser.next(input);
        if (!next) {
            out.error = next.error();
            return;
        }
        if (!*next) {
            EXPECT_TRUE(input.empty());
            return;
        }
        const frame& f = **next;
        out.frames.push_back(std::to_string(static_cast<int>(f.type)) + "/" + std::to_string(f.channel) + "/" +
                             std::string(f.payload));
    }
}

outcome parsed(role side, std::string_view octets) {
    frame_parser parser(side);
    outcome out;
    feed(parser, octets, out);
    return out;
}

std::string stream() {
    std::string out;
    encode_protocol_header(out);
    EXPECT_TRUE(encode_content(out, {.channel = 7, .frame_max = 64}, basic_publish{.routing_key = "k"},
                               basic_properties{.delivery_mode = 2}, std::string(100, 'b')));
    encode_heartbeat(out);
    EXPECT_TRUE(encode_method(out, 7, basic_ack{.delivery_tag = 1}));
    return out;
}

}  // namespace

TEST(frame_parser, every_split_in_two_gives_the_same_frames) {
    const std::string octets = stream();
    const outcome whole = parsed(role::server, octets);
    EXPECT_EQ(whole.frames.size(), 7u);
    EXPECT_FALSE(whole.error);
    for (std::size_t at = 0; at <= octets.size(); ++at) {
        frame_parser parser(role::server);
        outcome split;
        feed(parser, std::string(octets, 0, at), split);
        feed(parser, std::string(octets, at), split);
        EXPECT_EQ(split, whole) << "split at " << at;
        EXPECT_EQ(parser.buffered(), 0u);
    }
}

TEST(frame_parser, octet_by_octet_gives_the_same_frames) {
    const std::string octets = stream();
    frame_parser parser(role::server);
    outcome single;
    for (const char octet : octets) feed(parser, std::string(1, octet), single);
    EXPECT_EQ(single, parsed(role::server, octets));
}

TEST(frame_parser, a_stream_cut_anywhere_asks_for_more) {
    const std::string octets = stream();
    for (std::size_t size = 0; size < octets.size(); ++size) {
        EXPECT_FALSE(parsed(role::server, octets.substr(0, size)).error) << size;
    }
}

TEST(frame_parser, a_whole_frame_is_a_view_into_the_input) {
    const std::string octets = amqp::octets("03 0001 00000003 'abc' ce");
    frame_parser parser(role::client);
    std::string_view input = octets;
    const auto next = parser.next(input);
    ASSERT_TRUE(next && *next);
    EXPECT_EQ((*next)->payload.data(), octets.data() + 7);
    EXPECT_TRUE(input.empty());
}

TEST(frame_parser, frames_over_frame_max_are_refused_before_they_are_held) {
    frame_parser parser(role::client, 4096);
    const std::string largest = octets("03 0001 00000ff8");
    std::string_view fits = largest;
    ASSERT_TRUE(parser.next(fits));

    frame_parser other(role::client, 4096);
    const std::string too_large = octets("03 0001 00000ff9");
    std::string_view input = too_large;
    const auto next = other.next(input);
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().code, reply_code::frame_error);
    EXPECT_EQ(other.buffered(), 0u);

    std::string_view more = "anything";
    EXPECT_EQ(other.next(more), next) << "an error stays";
}

TEST(frame_parser, frame_max_can_be_raised_after_tuning) {
    const std::string octets = amqp::octets("03 0001 00002000") + std::string(8192, 'x') + '\xce';
    EXPECT_TRUE(parsed(role::client, octets).error);
    frame_parser parser(role::client);
    parser.set_frame_max(131072);
    outcome out;
    feed(parser, octets, out);
    EXPECT_EQ(out.frames.size(), 1u);
    parser.set_frame_max(1);
    EXPECT_EQ(parser.frame_max(), frame_min_size);
}

TEST(frame_parser, a_wrong_end_octet_is_a_frame_error) {
    const outcome out = parsed(role::client, octets("08 0000 00000000 cd"));
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->code, reply_code::frame_error);
    EXPECT_FALSE(out.error->wrong_protocol);
}

TEST(frame_parser, an_unknown_frame_type_is_a_frame_error) {
    const outcome out = parsed(role::client, octets("08 0000 00000000 ce 04"));
    EXPECT_EQ(out.frames.size(), 1u);
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->code, reply_code::frame_error);
    EXPECT_FALSE(out.error->wrong_protocol);
}

TEST(frame_parser, a_heartbeat_has_neither_channel_nor_payload) {
    EXPECT_EQ(parsed(role::client, octets("08 0001 00000000 ce")).error->code, reply_code::frame_error);
    EXPECT_EQ(parsed(role::client, octets("08 0000 00000001 00 ce")).error->code, reply_code::frame_error);
}

TEST(frame_parser, a_server_wants_this_protocol_header_first) {
    // 0-9-1, and what clients of 0-9 and 0-8 send.
    for (const std::string& header : {std::string(protocol_header_octets), octets("'AMQP' 01 01 00 09"),
                                      octets("'AMQP' 01 01 08 00"), octets("'AMQP' 01 01 09 01")}) {
        const outcome right = parsed(role::server, header);
        ASSERT_EQ(right.frames.size(), 1u);
        EXPECT_TRUE(right.frames[0].starts_with("65/0/AMQP"));
    }

    for (const std::string& other :
         {octets("'AMQP' 03 01 00 00"), octets("'AMQP' 01 01 00 0a"), octets("'AMQP' 00 01 00 00"),
          std::string("GET / HTTP/1.1"), octets("16 03 01"), octets("08 0000 00000000 ce")}) {
        const outcome out = parsed(role::server, other);
        ASSERT_TRUE(out.error) << other;
        EXPECT_TRUE(out.error->wrong_protocol) << other;
    }
}

TEST(frame_parser, a_client_understands_that_a_server_refuses_its_version) {
    const outcome refused = parsed(role::client, octets("'AMQP' 03 01 00 00"));
    ASSERT_TRUE(refused.error);
    EXPECT_TRUE(refused.error->wrong_protocol);
    EXPECT_EQ(refused.error->text, "the peer speaks AMQP 3-1-0-0, not 0-0-9-1");
    EXPECT_TRUE(parsed(role::client, "HTTP/1.1 400 Bad Request").error->wrong_protocol);
}

}  // namespace foz::amqp
