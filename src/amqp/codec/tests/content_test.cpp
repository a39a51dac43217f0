#include "amqp/codec/content.hpp"

#include "amqp/codec/encode.hpp"
#include "amqp/codec/sample_methods.hpp"
#include "amqp/codec/tests/octets.hpp"

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

constexpr std::string_view publish_payload{"\0\x3c\0\x28\0\0\0\1k\0", 10};
constexpr std::string_view ack_payload{"\0\x3c\0\x50\0\0\0\0\0\0\0\1\0", 13};

std::string header_payload(std::uint64_t size, const basic_properties& properties = {}) {
    std::string out;
    EXPECT_TRUE(encode_content_header(out, {}, size, properties));
    return out.substr(7, out.size() - frame_overhead);
}

// A body frame in parts is the same as one that is encoded whole.
TEST(content, a_body_frame_can_be_encoded_around_its_octets) {
    std::string whole;
    encode_body(whole, {.channel = 7}, "hello");
    std::string parts;
    begin_body_frame(parts, 7, 5);
    parts += "hello";
    end_body_frame(parts);
    EXPECT_EQ(parts, whole);
}

frame a_method(std::string_view payload) {
    return {frame_type::method, 1, payload};
}
frame a_header(std::string_view payload) {
    return {frame_type::header, 1, payload};
}
frame a_body(std::string_view payload) {
    return {frame_type::body, 1, payload};
}

// The error of the last frame; all before it are taken.
frame_error error_after(content_assembler& assembler, std::initializer_list<frame> frames) {
    std::size_t left = frames.size();
    for (const frame& f : frames) {
        const auto done = assembler.feed(f);
        if (--left == 0 && !done) return done.error();
        EXPECT_TRUE(done) << done.error().text;
    }
    return {.text = "no error"};
}

reply_code code_after(std::initializer_list<frame> frames) {
    content_assembler assembler(1000);
    const reply_code code = error_after(assembler, frames).code;
    EXPECT_FALSE(assembler.in_content());
    return code;
}

}  // namespace

TEST(content, a_body_over_the_limit_can_be_skipped_and_costs_nothing_but_itself) {
    content_assembler assembler(10, properties_as::decoded, over_limit::skip);
    const basic_properties properties{.message_id = "id-1"};
    const std::string body = "0123456789abcdef";
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        ASSERT_TRUE(assembler.feed(a_method(publish_payload)));
        ASSERT_TRUE(assembler.feed(a_header(header_payload(body.size(), properties))));
        const std::string first = body.substr(0, cut), second = body.substr(cut);
        auto done = assembler.feed(a_body(first));
        ASSERT_TRUE(done);
        if (cut < body.size()) {
            ASSERT_EQ(*done, nullptr);
            done = assembler.feed(a_body(second));
        }
        ASSERT_TRUE(done && *done);
        const message& m = **done;
        EXPECT_EQ(m.skipped, (skipped_body{body.size(), content_check_of("id-1", body)}));
        EXPECT_EQ(m.body, "");
        EXPECT_EQ(m.storage.capacity(), std::string().capacity()) << "nothing of it is kept";
        EXPECT_EQ(m.properties.message_id, "id-1");
        EXPECT_FALSE(assembler.in_content());
        // The next one is as if nothing had been.
        ASSERT_TRUE(assembler.feed(a_method(publish_payload)));
        ASSERT_TRUE(assembler.feed(a_header(header_payload(10))));
        const auto next = assembler.feed(a_body("0123456789"));
        ASSERT_TRUE(next && *next);
        EXPECT_EQ((*next)->body, "0123456789");
        EXPECT_FALSE((*next)->skipped);
    }
}

TEST(content, frames_out_of_turn_are_errors_while_a_body_is_skipped_too) {
    for (const frame& wrong : {a_method(ack_payload), a_header(header_payload(1)), a_body("too much of it")}) {
        content_assembler assembler(3, properties_as::decoded, over_limit::skip);
        const std::string header = header_payload(10);
        const auto error = error_after(assembler, {a_method(publish_payload), a_header(header), a_body("abc"), wrong});
        EXPECT_NE(error.text, "no error");
        EXPECT_FALSE(assembler.in_content());
    }
}

TEST(content, a_method_without_content_is_a_message_at_once) {
    content_assembler assembler;
    const auto done = assembler.feed(a_method(ack_payload));
    ASSERT_TRUE(done && *done);
    EXPECT_EQ(std::get<basic_ack>((*done)->method), basic_ack{.delivery_tag = 1});
    EXPECT_FALSE(assembler.in_content());
}

TEST(content, a_body_of_one_frame_is_not_copied) {
    content_assembler assembler;
    const std::string header = header_payload(5, sample_properties());
    const std::string body = "hello";
    EXPECT_EQ(*assembler.feed(a_method(publish_payload)), nullptr);
    EXPECT_TRUE(assembler.in_content());
    EXPECT_EQ(*assembler.feed(a_header(header)), nullptr);
    const auto done = assembler.feed(a_body(body));
    ASSERT_TRUE(done && *done);
    message& m = **done;
    EXPECT_EQ(std::get<basic_publish>(m.method).routing_key, "k");
    EXPECT_EQ(m.properties, sample_properties());
    EXPECT_EQ(m.body.data(), body.data());
    EXPECT_EQ(m.take_body(), "hello");
    EXPECT_FALSE(assembler.in_content());

    const auto next = assembler.feed(a_method(ack_payload));
    ASSERT_TRUE(next && *next);
    EXPECT_EQ((*next)->properties, basic_properties{}) << "nothing of the last message is left";
    EXPECT_EQ((*next)->body, "");
}

TEST(content, a_body_of_several_frames_is_put_together) {
    content_assembler assembler;
    const std::string header = header_payload(5);
    for (int round = 0; round < 2; ++round) {
        EXPECT_TRUE(assembler.feed(a_method(publish_payload)));
        EXPECT_TRUE(assembler.feed(a_header(header)));
        EXPECT_EQ(*assembler.feed(a_body("he")), nullptr);
        EXPECT_EQ(*assembler.feed(a_body("")), nullptr);
        const auto done = assembler.feed(a_body("llo"));
        ASSERT_TRUE(done && *done);
        EXPECT_EQ((*done)->body, "hello");
        EXPECT_EQ((*done)->take_body(), "hello");
        EXPECT_EQ((*done)->body, "");
    }
}

TEST(content, an_empty_body_ends_with_its_header) {
    content_assembler assembler;
    EXPECT_TRUE(assembler.feed(a_method(publish_payload)));
    const auto done = assembler.feed(a_header(header_payload(0)));
    ASSERT_TRUE(done && *done);
    EXPECT_EQ((*done)->body, "");
}

TEST(content, frames_out_of_turn_are_unexpected) {
    const std::string header = header_payload(5);
    EXPECT_EQ(code_after({a_header(header)}), reply_code::unexpected_frame);
    EXPECT_EQ(code_after({a_body("x")}), reply_code::unexpected_frame);
    EXPECT_EQ(code_after({a_method(publish_payload), a_body("x")}), reply_code::unexpected_frame);
    EXPECT_EQ(code_after({a_method(publish_payload), a_method(ack_payload)}), reply_code::unexpected_frame);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(header), a_header(header)}),
              reply_code::unexpected_frame);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(header), a_method(ack_payload)}),
              reply_code::unexpected_frame);
    EXPECT_EQ(code_after({{frame_type::heartbeat, 1, ""}}), reply_code::unexpected_frame);
}

TEST(content, more_body_than_announced_is_a_frame_error) {
    const std::string header = header_payload(5);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(header), a_body("sixsix")}), reply_code::frame_error);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(header), a_body("four"), a_body("xx")}),
              reply_code::frame_error);
}

TEST(content, a_body_over_the_limit_closes_the_channel_only) {
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(header_payload(1001))}), reply_code::precondition_failed);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(header_payload(~std::uint64_t{0}))}),
              reply_code::precondition_failed);
    content_assembler assembler(1000);
    EXPECT_TRUE(assembler.feed(a_method(publish_payload)));
    EXPECT_TRUE(assembler.feed(a_header(header_payload(1000))));
}

TEST(content, headers_with_a_wrong_class_weight_or_flags_are_refused) {
    const std::string wrong_class = octets("0032 0000 0000000000000000 0000");
    const std::string weight = octets("003c 0001 0000000000000000 0000");
    const std::string continuation = octets("003c 0000 0000000000000000 0001 0000");
    const std::string unknown_flag = octets("003c 0000 0000000000000000 0002");
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(wrong_class)}), reply_code::frame_error);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(weight)}), reply_code::frame_error);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(continuation)}), reply_code::syntax_error);
    EXPECT_EQ(code_after({a_method(publish_payload), a_header(unknown_flag)}), reply_code::syntax_error);
}

TEST(content, a_header_cut_anywhere_is_an_error) {
    const std::string whole = header_payload(7, sample_properties());
    content_header header;
    ASSERT_TRUE(decode_content_header(whole, header));
    EXPECT_EQ(header, (content_header{.class_id = 60, .body_size = 7, .properties = sample_properties()}));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(decode_content_header(std::string_view(whole).substr(0, size), header)) << size;
    }
    EXPECT_EQ(decode_content_header(whole + "x", header).error(), wire_error::trailing_octets);
}

TEST(content, errors_name_the_method_and_its_ids) {
    content_assembler assembler;
    const frame_error cut = error_after(assembler, {a_method(ack_payload.substr(0, 8))});
    EXPECT_EQ(cut, (frame_error{.code = reply_code::syntax_error,
                                .text = "basic.ack: the octets end inside a value",
                                .class_id = 60,
                                .method_id = 80}));
    const frame_error unknown = error_after(assembler, {a_method(octets("00ff 0001"))});
    EXPECT_EQ(unknown.code, reply_code::not_implemented);
    EXPECT_EQ(unknown.text, "class 255, method 1: unknown class or method id");
    EXPECT_TRUE(assembler.feed(a_method(ack_payload))) << "the assembler is usable again";
}

TEST(encode_content, properties_that_do_not_fit_frame_max_are_refused_and_nothing_is_written) {
    basic_properties properties;
    properties.headers = table{{"foz-direct", std::string(5000, 'x')}};
    std::string out = "before";
    const auto done = encode_content(out, {.channel = 1, .frame_max = 4096}, basic_publish{}, properties, "body");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error(), wire_error::frame_too_large);
    EXPECT_EQ(out, "before");
}

TEST(encode_content, every_body_size_around_the_frame_size_round_trips) {
    for (const std::size_t size : {0u, 1u, 4087u, 4088u, 4089u, 8176u, 8177u, 20000u}) {
        std::string out;
        const std::string body(size, 'b');
        ASSERT_TRUE(encode_content(out, {.channel = 1, .frame_max = 4096}, basic_deliver{.consumer_tag = "c"},
                                   sample_properties(), body));
        frame_parser parser(role::client, 4096);
        content_assembler assembler;
        std::string_view input = out;
        message* whole = nullptr;
        while (!whole) {
            const auto next = parser.next(input);
            ASSERT_TRUE(next && *next) << size;
            const auto done = assembler.feed(**next);
            ASSERT_TRUE(done) << done.error().text;
            whole = *done;
        }
        EXPECT_EQ(whole->body, body);
        EXPECT_EQ(std::get<basic_deliver>(whole->method).consumer_tag, "c");
        EXPECT_TRUE(input.empty());
    }
}

}  // namespace foz::amqp
