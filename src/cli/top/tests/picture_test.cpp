#include "cli/top/picture.hpp"

#include <gtest/gtest.h>

namespace foz::cli::top {
namespace {

constexpr const char* whole =
    R"({"product":"Foz","version":"1.2.3","uptime_s":7500,"not_ready":"","memory_bytes":42100000.0,"cpu_seconds":1.5,)"
    R"("aggregator":{"connections":7,"sessions":5,"requests_waiting":2,"broker_connected":true,"broker_blocked":true,)"
    R"("channels":["chat"],"message_stats":{"frames":10,"frames_details":{"rate":1.5}}},)"
    R"("broker":{"object_totals":{"connections":3,"consumers":4,"exchanges":5,"queues":6},)"
    R"("queue_totals":{"messages_ready":8,"messages_unacknowledged":9},)"
    R"("message_stats":{"publish":1,"publish_details":{"rate":12}},"blocked":"disk","waiting_bytes":11}})";

// Every number is found where the admin port has it.
TEST(top_picture, reads_both_parts_and_queues) {
    const auto now = read_picture(
        whole, R"([{"vhost":"/","name":"a\u001bb","type":"quorum","messages_ready":1,"messages_unacknowledged":2,)"
               R"("message_bytes":3,"consumers":4,"message_stats":{"redeliver":5,"redeliver_details":{"rate":0.5},)"
               R"("dead_letter":6,"ack_details":{"rate":7}}}])");
    ASSERT_TRUE(now) << now.error();
    EXPECT_EQ(now->version, "1.2.3");
    EXPECT_EQ(now->aggregator->sessions, 5);
    EXPECT_EQ(now->aggregator->frames_rate, 1.5);
    EXPECT_TRUE(now->aggregator->broker_blocked);
    EXPECT_EQ(now->broker->queues, 6);
    EXPECT_EQ(now->broker->unacknowledged, 9);
    EXPECT_EQ(now->broker->publish_rate, 12);
    EXPECT_EQ(now->broker->blocked, "disk");
    ASSERT_EQ(now->queues.size(), 1u);
    const queue_row& row = now->queues[0];
    EXPECT_EQ(row.name,
              "a\x1b"
              "b");
    EXPECT_EQ(row.bytes, 3);
    EXPECT_EQ(row.redelivered, 5);
    EXPECT_EQ(row.redeliver_rate, 0.5);
    EXPECT_EQ(row.dead_lettered, 6);
    EXPECT_EQ(row.ack_rate, 7);
    EXPECT_EQ(row.publish_rate, 0);
}

// Either part may be missing, and so may single members.
TEST(top_picture, copes_with_what_is_missing) {
    const auto bare = read_picture(R"({"product":"Foz"})", std::nullopt);
    ASSERT_TRUE(bare);
    EXPECT_FALSE(bare->aggregator || bare->broker);
    const auto odd =
        read_picture(R"({"product":"Foz","aggregator":{"sessions":"many"},"broker":{"blocked":null}})", "[7]");
    ASSERT_TRUE(odd);
    EXPECT_EQ(odd->aggregator->sessions, 0);
    EXPECT_EQ(odd->queues.size(), 1u);
}

// Another server's answer is told as such.
TEST(top_picture, refuses_what_is_no_admin_port) {
    EXPECT_FALSE(read_picture("<html>", std::nullopt));
    EXPECT_FALSE(read_picture(R"({"product":"RabbitMQ"})", std::nullopt));
    EXPECT_FALSE(read_picture("[]", std::nullopt));
    EXPECT_FALSE(read_picture("", std::nullopt));
    EXPECT_FALSE(read_picture(whole, R"({"error":"x"})"));
}

}  // namespace
}  // namespace foz::cli::top
