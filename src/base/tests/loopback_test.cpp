#include "base/loopback.hpp"

#include <string>

#include <gtest/gtest.h>

namespace foz {

TEST(loopback, knows_its_addresses_and_localhost) {
    for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "0:0:0:0:0:0:0:1"})
        EXPECT_TRUE(is_loopback_host(host)) << host;
}

TEST(loopback, takes_nothing_else_for_one) {
    for (const char* host : {"", "[", "[]", "0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "[::2]", "::ffff:127.0.0.1",
                             "127.1", "2130706433", "127.0.0.1.example", "localhost.example", "127.0.0.1 ", "example"})
        EXPECT_FALSE(is_loopback_host(host)) << host;
    EXPECT_FALSE(is_loopback_host(std::string("localhost\0", 10)));
}

}  // namespace foz
