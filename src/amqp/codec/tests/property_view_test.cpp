#include "amqp/codec/property_view.hpp"

#include "amqp/codec/content.hpp"
#include "amqp/codec/encode.hpp"
#include "amqp/codec/wire.hpp"

#include <random>

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

basic_properties everything() {
    basic_properties all;
    all.content_type = "application/json";
    all.content_encoding = "utf-8";
    all.headers = table{{"a", true},
                        {"b", std::int8_t{-1}},
                        {"c", std::uint8_t{1}},
                        {"d", std::int16_t{2}},
                        {"e", std::uint16_t{3}},
                        {"f", 4},
                        {"g", 5u},
                        {"h", std::int64_t{6}},
                        {"i", 1.5f},
                        {"j", 2.5},
                        {"k", decimal{2, 314}},
                        {"l", "text"},
                        {"m", byte_array{"octets"}},
                        {"n", timestamp{7}},
                        {"o", field_array{1, "x", table{{"deep", field_array{}}}}},
                        {"p", table{{"q", field_value()}}}};
    all.delivery_mode = 2;
    all.priority = 3;
    all.correlation_id = "c";
    all.reply_to = "r";
    all.expiration = "1000";
    all.message_id = "m";
    all.timestamp = 8;
    all.type = "t";
    all.user_id = "u";
    all.app_id = "app";
    all.cluster_id = "cl";
    return all;
}

bool decodes(std::string_view octets) {
    basic_properties out;
    reader in(octets);
    read_properties(in, out);
    return in.finish().has_value();
}

}  // namespace

TEST(property_view, finds_what_a_broker_asks_for) {
    const std::string octets = *encode_properties(everything());
    const auto view = scan_properties(octets);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->delivery_mode, 2);
    EXPECT_EQ(view->priority, 3);
    EXPECT_EQ(view->reply_to, "r");
    EXPECT_EQ(view->expiration, "1000");
    EXPECT_EQ(view->user_id, "u");
    for (const char* const key : {"a", "g", "p"}) EXPECT_TRUE(has_key(view->headers, key)) << key;
    for (const char* const key : {"q", "deep", ""}) EXPECT_FALSE(has_key(view->headers, key)) << key;
    EXPECT_EQ(decode_properties(octets), everything());
}

TEST(property_view, nothing_is_found_in_empty_properties) {
    const auto view = scan_properties(*encode_properties({}));
    ASSERT_TRUE(view);
    EXPECT_TRUE(view->headers.empty());
    EXPECT_FALSE(view->delivery_mode || view->priority || view->reply_to || view->expiration || view->user_id);
}

TEST(property_view, accepts_what_can_be_decoded_and_nothing_else) {
    const std::string octets = *encode_properties(everything());
    for (std::size_t size = 0; size < octets.size(); ++size)
        EXPECT_FALSE(scan_properties(std::string_view(octets).substr(0, size))) << size;
    std::mt19937 random(7);
    std::size_t refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string changed = octets;
        for (int i = 0; i <= round % 3; ++i) changed[random() % changed.size()] = static_cast<char>(random());
        const bool scanned = scan_properties(changed).has_value();
        EXPECT_EQ(scanned, decodes(changed)) << "round " << round;
        refused += scanned ? 0 : 1;
    }
    EXPECT_GT(refused, 1'000u);
}

TEST(property_view, nesting_is_bounded_as_in_decoding) {
    for (const unsigned depth : {table_depth_max - 1, table_depth_max, table_depth_max + 1}) {
        std::string value = "V";
        for (unsigned i = 1; i < depth; ++i) {
            std::string array;
            writer out(array);
            out.u8('A');
            out.long_string(value);
            value = array;
        }
        std::string octets;
        writer out(octets);
        out.u16(0x2000);
        std::string entry;
        writer inner(entry);
        inner.short_string("k");
        inner.octets(value);
        out.long_string(entry);
        EXPECT_EQ(scan_properties(octets).has_value(), decodes(octets)) << depth;
    }
}

TEST(property_view, a_header_is_added_to_whatever_is_there) {
    basic_properties no_headers = everything();
    no_headers.headers.reset();
    basic_properties bare;
    bare.headers = table{};
    for (const basic_properties& properties : {basic_properties(), bare, no_headers, everything()}) {
        const std::string with = with_header(*encode_properties(properties), "x-stream-offset", -9);
        ASSERT_TRUE(scan_properties(with));
        basic_properties back = decode_properties(with);
        ASSERT_TRUE(back.headers);
        EXPECT_EQ(as_int64(back.headers->find("x-stream-offset")), -9);
        EXPECT_EQ(back.headers->begin()->key, "x-stream-offset");
        back.headers->erase("x-stream-offset");
        if (!properties.headers) back.headers.reset();
        EXPECT_EQ(back, properties);
    }
}

TEST(property_view, an_assembler_can_leave_properties_as_they_came) {
    std::string octets;
    basic_publish target;
    target.routing_key = "k";
    ASSERT_TRUE(encode_content(octets, {.channel = 1, .frame_max = 4096}, target, everything(), "body"));
    frame_parser parser(role::client);
    content_assembler assembler(100, properties_as::encoded);
    std::string_view input = octets;
    message* whole = nullptr;
    while (!whole) {
        const auto next = parser.next(input);
        ASSERT_TRUE(next && *next);
        const auto fed = assembler.feed(**next);
        ASSERT_TRUE(fed);
        whole = *fed;
    }
    EXPECT_EQ(whole->body, "body");
    EXPECT_EQ(whole->encoded_properties, *encode_properties(everything()));
    EXPECT_EQ(whole->scanned.expiration, "1000");
}

}  // namespace foz::amqp
