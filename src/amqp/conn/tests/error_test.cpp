#include "amqp/conn/error.hpp"

#include <gtest/gtest.h>

namespace foz::amqp {

// What a program should not start with, as opposed to what passes by itself while a broker starts.
TEST(error, only_arguments_and_permissions_are_permanent) {
    for (const int code : {402, 403, 406, 530})
        EXPECT_TRUE((error{errc::channel_closed, static_cast<std::uint16_t>(code), ""}.permanent())) << code;
    for (const int code : {0, 320, 404, 405, 501, 541})
        EXPECT_FALSE((error{errc::channel_closed, static_cast<std::uint16_t>(code), ""}.permanent())) << code;
}

TEST(error, a_stream_without_a_replica_gets_one) {
    const char* text =
        "PRECONDITION_FAILED - queue 'queue 'OUT_CHAT' in vhost '/'' does not have a replica on the local node";
    EXPECT_FALSE((error{errc::channel_closed, 406, text}.permanent()));
}

}  // namespace foz::amqp
