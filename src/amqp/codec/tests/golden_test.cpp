// Octets that were put together by hand from AMQP 0-9-1 §4.2 and RabbitMQ's errata, checked in both directions.
#include "amqp/codec/content.hpp"
#include "amqp/codec/encode.hpp"
#include "amqp/codec/tests/octets.hpp"

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

template <class M>
void expect_golden(std::uint16_t channel, const M& m, const std::string& golden) {
    std::string out;
    ASSERT_TRUE(encode_method(out, channel, m));
    EXPECT_EQ(out, golden);

    const auto back = decode_method(std::string_view(golden).substr(7, golden.size() - frame_overhead));
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_EQ(std::get<M>(*back), m);
}

}  // namespace

TEST(golden, protocol_header_and_heartbeat) {
    std::string out;
    encode_protocol_header(out);
    encode_heartbeat(out);
    EXPECT_EQ(out, octets("'AMQP' 00 00 09 01  08 0000 00000000 ce"));
}

TEST(golden, start_ok) {
    expect_golden(0,
                  connection_start_ok{.client_properties = {{"product", "Foz"}},
                                      .mechanism = "PLAIN",
                                      .response = octets("00 'a' 00 'b'"),
                                      .locale = "en_US"},
                  octets("01 0000 0000002c 000a 000b 00000010 07 'product' 53 00000003 'Foz' 05 'PLAIN'"
                         "00000004 00 'a' 00 'b' 05 'en_US' ce"));
}

TEST(golden, tune_ok) {
    expect_golden(0, connection_tune_ok{.channel_max = 2047, .frame_max = 131072, .heartbeat = 60},
                  octets("01 0000 0000000c 000a 001f 07ff 00020000 003c ce"));
}

TEST(golden, connection_open_with_reserved_fields) {
    expect_golden(0, connection_open{.virtual_host = "/"}, octets("01 0000 00000008 000a 0028 01 '/' 00 00 ce"));
}

TEST(golden, queue_declare_with_arguments) {
    expect_golden(
        1,
        queue_declare{
            .queue = "q", .durable = true, .arguments = {{"x-queue-type", "quorum"}, {"x-delivery-limit", 20}}},
        octets("01 0001 0000003b 0032 000a 0000 01 'q' 02 0000002e 0c 'x-queue-type' 53 00000006 'quorum'"
               "10 'x-delivery-limit' 49 00000014 ce"));
}

TEST(golden, all_bits_of_queue_declare) {
    expect_golden(
        1, queue_declare{.passive = true, .durable = true, .exclusive = true, .auto_delete = true, .no_wait = true},
        octets("01 0001 0000000c 0032 000a 0000 00 1f 00000000 ce"));
}

TEST(golden, basic_ack) {
    expect_golden(1, basic_ack{.delivery_tag = 0x0102030405060708, .multiple = true},
                  octets("01 0001 0000000d 003c 0050 0102030405060708 01 ce"));
}

TEST(golden, basic_nack) {
    expect_golden(1, basic_nack{.delivery_tag = 1, .requeue = true},
                  octets("01 0001 0000000d 003c 0078 0000000000000001 02 ce"));
}

TEST(golden, update_secret) {
    expect_golden(0, connection_update_secret{.new_secret = "s", .reason = "r"},
                  octets("01 0000 0000000b 000a 0046 00000001 's' 01 'r' ce"));
}

TEST(golden, publish_with_properties_and_split_body) {
    std::string out;
    basic_properties properties;
    properties.content_type = "a/b";
    properties.delivery_mode = 2;
    const auto done = encode_content(out, {.channel = 3, .frame_max = 27},
                                     basic_publish{.exchange = "ex", .routing_key = "rk", .mandatory = true},
                                     properties, "abcdefghijklmnopqrstu");
    ASSERT_TRUE(done);
    EXPECT_EQ(out, octets("01 0003 0000000d 003c 0028 0000 02 'ex' 02 'rk' 01 ce"
                          "02 0003 00000013 003c 0000 0000000000000015 9000 03 'a/b' 02 ce"
                          "03 0003 00000013 'abcdefghijklmnopqrs' ce"
                          "03 0003 00000002 'tu' ce"));
}

TEST(golden, every_property_flag) {
    basic_properties p;
    p.content_type = "1";
    p.content_encoding = "2";
    p.headers = table{};
    p.delivery_mode = 4;
    p.priority = 5;
    p.correlation_id = "6";
    p.reply_to = "7";
    p.expiration = "8";
    p.message_id = "9";
    p.timestamp = 10;
    p.type = "b";
    p.user_id = "c";
    p.app_id = "d";
    p.cluster_id = "e";
    std::string out;
    ASSERT_TRUE(encode_content_header(out, {.channel = 1}, 0, p));
    EXPECT_EQ(out, octets("02 0001 00000030 003c 0000 0000000000000000 fffc 01'1' 01'2' 00000000 04 05 01'6' 01'7'"
                          "01'8' 01'9' 000000000000000a 01'b' 01'c' 01'd' 01'e' ce"));
}

TEST(golden, field_table_types_of_rabbitmq) {
    const table all{{"t", true},
                    {"b", std::int8_t{-2}},
                    {"B", std::uint8_t{254}},
                    {"s", std::int16_t{-2}},
                    {"u", std::uint16_t{65534}},
                    {"I", -2},
                    {"i", 4294967294u},
                    {"l", std::int64_t{-2}},
                    {"f", 1.5f},
                    {"d", 1.5},
                    {"D", decimal{.scale = 2, .value = 314}},
                    {"S", "text"},
                    {"A", field_array{1, "x"}},
                    {"T", timestamp{1700000000}},
                    {"F", table{{"k", false}}},
                    {"V", {}},
                    {"x", byte_array{"ab"}}};
    const std::string golden = octets(
        "00000088 01't' 74 01  01'b' 62 fe  01'B' 42 fe  01's' 73 fffe  01'u' 75 fffe  01'I' 49 fffffffe"
        "01'i' 69 fffffffe  01'l' 6c fffffffffffffffe  01'f' 66 3fc00000  01'd' 64 3ff8000000000000"
        "01'D' 44 02 0000013a  01'S' 53 00000004 'text'  01'A' 41 0000000b 49 00000001 53 00000001 'x'"
        "01'T' 54 000000006553f100  01'F' 46 00000004 01'k' 74 00  01'V' 56  01'x' 78 00000002 'ab'");
    std::string out;
    writer w(out);
    write_table(w, all);
    ASSERT_TRUE(w.finish());
    EXPECT_EQ(out, golden);

    reader in(golden);
    table back;
    read_table(in, back);
    ASSERT_TRUE(in.finish());
    EXPECT_EQ(back, all);
}

}  // namespace foz::amqp
