// What a queue may be declared with, and the words of each refusal.
#include "broker/core/arguments.hpp"

#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;
using amqp::table;

constexpr queue_flags durable{.durable = true};

std::string refusal_of(const table& arguments, queue_flags flags = durable) {
    const auto read = read_arguments(arguments, flags, "queue 'q' in vhost '/'");
    if (read) return "";
    EXPECT_EQ(read.error().code, amqp::reply_code::precondition_failed);
    return read.error().text;
}

queue_settings settings_of(const table& arguments) {
    return read_arguments(arguments, durable, "queue 'q' in vhost '/'").value();
}

}  // namespace

TEST(arguments, everything_is_read) {
    const queue_settings read = settings_of({{"x-queue-type", "quorum"},
                                             {"x-message-ttl", std::int8_t{100}},
                                             {"x-expires", std::int64_t{60'000}},
                                             {"x-max-length", 0},
                                             {"x-max-length-bytes", std::uint32_t{4'000'000'000}},
                                             {"x-overflow", "reject-publish"},
                                             {"x-dead-letter-exchange", ""},
                                             {"x-dead-letter-routing-key", "k"},
                                             {"x-dead-letter-strategy", "at-least-once"},
                                             {"x-delivery-limit", 3},
                                             {"x-single-active-consumer", true},
                                             {"x-unknown", "ignored"}});
    EXPECT_EQ(read.kind, queue_kind::quorum);
    EXPECT_EQ(read.message_ttl, 100ms);
    EXPECT_EQ(read.expires, 60s);
    EXPECT_EQ(read.length_max, 0u);
    EXPECT_EQ(read.bytes_max, 4'000'000'000u);
    EXPECT_EQ(read.when_full, overflow::reject_publish);
    EXPECT_EQ(read.dead_letter_exchange, "");
    EXPECT_EQ(read.dead_letter_routing_key, "k");
    EXPECT_TRUE(read.dead_letter_at_least_once);
    EXPECT_EQ(read.delivery_limit, 3u);
    EXPECT_TRUE(read.single_active);
}

TEST(arguments, a_stream_s_own) {
    const queue_settings read =
        settings_of({{"x-queue-type", "stream"}, {"x-max-age", "7D"}, {"x-stream-max-segment-size-bytes", 1'000}});
    EXPECT_EQ(read.kind, queue_kind::stream);
    EXPECT_EQ(read.age_max, 7 * 24h);
    EXPECT_EQ(read.segment_bytes, 1'000u);
}

TEST(arguments, at_least_once_needs_a_quorum_queue_that_rejects) {
    EXPECT_FALSE(
        settings_of(
            {{"x-queue-type", "quorum"}, {"x-dead-letter-exchange", "d"}, {"x-dead-letter-strategy", "at-least-once"}})
            .dead_letter_at_least_once);
}

TEST(arguments, refusals_name_argument_queue_and_reason) {
    const std::string on = " for queue 'q' in vhost '/': ";
    struct row {
        table arguments;
        std::string text;
    };
    const row rows[] = {
        {{{"x-message-ttl", -1}}, "invalid arg 'x-message-ttl'" + on + "{value_negative,-1}"},
        {{{"x-message-ttl", "soon"}}, "invalid arg 'x-message-ttl'" + on + "\"expected integer, got longstr\""},
        {{{"x-message-ttl", std::int64_t{315'360'000'001}}},
         "invalid arg 'x-message-ttl'" + on + "{value_too_large,315360000001}"},
        {{{"x-expires", 0}}, "invalid arg 'x-expires'" + on + "{value_zero,0}"},
        {{{"x-max-length", -5}}, "invalid arg 'x-max-length'" + on + "{value_negative,-5}"},
        {{{"x-max-length-bytes", 1.5}}, "invalid arg 'x-max-length-bytes'" + on + "\"expected integer, got double\""},
        {{{"x-dead-letter-routing-key", "k"}},
         "invalid arg 'x-dead-letter-routing-key'" + on + "routing_key_but_no_dlx_defined"},
        {{{"x-dead-letter-exchange", "d"}, {"x-dead-letter-routing-key", std::string(256, 'k')}},
         "invalid arg 'x-dead-letter-routing-key'" + on + "longer than 255 octets"},
        {{{"x-dead-letter-exchange", 7}},
         "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'"},
        {{{"x-single-active-consumer", "yes"}},
         "invalid arg 'x-single-active-consumer'" + on + "{unacceptable_type,longstr}"},
        {{{"x-queue-type", "stream"}, {"x-max-age", "7X"}}, "invalid arg 'x-max-age'" + on + "invalid_max_age"},
        {{{"x-overflow", "burst"}}, "invalid arg 'x-overflow'" + on + "invalid_overflow"},
        {{{"x-queue-type", "mirrored"}}, "invalid arg 'x-queue-type'" + on + "\"unsupported queue type 'mirrored'\""},
        {{{"x-delivery-limit", 1}},
         "invalid arg 'x-delivery-limit' for queue 'q' in vhost '/' of queue type rabbit_classic_queue"},
    };
    for (const row& one : rows) EXPECT_EQ(refusal_of(one.arguments), one.text);
}

TEST(arguments, quorum_queues_and_streams_are_durable_and_shared) {
    for (const char* const kind : {"quorum", "stream"}) {
        const table arguments{{"x-queue-type", kind}};
        EXPECT_EQ(refusal_of(arguments), "");
        EXPECT_EQ(refusal_of(arguments, {}), "invalid property 'non-durable' for queue 'q' in vhost '/'");
        EXPECT_EQ(refusal_of(arguments, {.durable = true, .auto_delete = true}),
                  "invalid property 'auto-delete' for queue 'q' in vhost '/'");
        EXPECT_EQ(refusal_of(arguments, {.durable = true, .exclusive = true}),
                  "invalid property 'exclusive-owner' for queue 'q' in vhost '/'");
    }
}

TEST(arguments, a_second_declaration_is_compared_by_value) {
    const std::string on = "queue 'q' in vhost '/'";
    EXPECT_TRUE(require_same("x", table{{"x", std::int8_t{5}}}, table{{"x", std::int64_t{5}}}, on));
    EXPECT_TRUE(require_same("x", table{{"y", 1}}, table{{"y", 2}}, on)) << "only the named one";
    EXPECT_EQ(require_same("x", table{{"x", 5}}, table{}, on).error().text,
              "inequivalent arg 'x' for queue 'q' in vhost '/': received the value '5' of type 'signedint' but current "
              "is none");
    EXPECT_EQ(require_same("x", table{}, table{{"x", "v"}}, on).error().text,
              "inequivalent arg 'x' for queue 'q' in vhost '/': received none but current is the value 'v' of type "
              "'longstr'");
    EXPECT_EQ(require_same("durable", true, false, on).error().text,
              "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'");
}

TEST(arguments, intervals) {
    EXPECT_EQ(parse_interval("1Y"), 365 * 24h);
    EXPECT_EQ(parse_interval("2M"), 60 * 24h);
    EXPECT_EQ(parse_interval("3D"), 72h);
    EXPECT_EQ(parse_interval("4h"), 4h);
    EXPECT_EQ(parse_interval("5m"), 5min);
    EXPECT_EQ(parse_interval("0s"), 0s);
    for (const char* const bad : {"", "s", "5", "5 s", "-5s", "5S", "5ss", "5.5s", "99999999999999999999s", "0x5s"})
        EXPECT_FALSE(parse_interval(bad)) << bad;
    EXPECT_GT(*parse_interval("9999999999999Y"), 0s) << "no overflow";
}

}  // namespace foz::broker
