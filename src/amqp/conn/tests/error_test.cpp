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

}  // namespace foz::amqp
