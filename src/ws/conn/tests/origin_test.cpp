#include "ws/conn/origin.hpp"

#include <gtest/gtest.h>

namespace foz::ws {

TEST(same_origin, is_scheme_host_and_port) {
    EXPECT_TRUE(same_origin("http://h:8080", false, "h:8080"));
    EXPECT_TRUE(same_origin("https://h", true, "h"));
    EXPECT_TRUE(same_origin("https://h", true, "h:443"));
    EXPECT_TRUE(same_origin("https://h:443", true, "h"));
    EXPECT_TRUE(same_origin("http://h", false, "h:80"));
    EXPECT_TRUE(same_origin("HTTP://Example.ORG", false, "eXample.org:80"));
    EXPECT_TRUE(same_origin("http://[::1]:8080", false, "[::1]:8080"));
    EXPECT_TRUE(same_origin("http://[::1]", false, "[::1]:80"));
    EXPECT_FALSE(same_origin("http://h", true, "h"));
    EXPECT_FALSE(same_origin("https://h", false, "h"));
    EXPECT_FALSE(same_origin("https://h:80", true, "h"));
    EXPECT_FALSE(same_origin("http://h:8080", false, "h:8081"));
    EXPECT_FALSE(same_origin("http://h.evil", false, "h"));
    EXPECT_FALSE(same_origin("http://u@h", false, "h"));
    EXPECT_FALSE(same_origin("http://h/", false, "h"));
    EXPECT_FALSE(same_origin("ftp://h", false, "h"));
    EXPECT_FALSE(same_origin("null", false, "null"));
    EXPECT_FALSE(same_origin("", false, ""));
    EXPECT_FALSE(same_origin("http://", false, ""));
}

TEST(host_list, answers_to_this_machine_and_to_addresses) {
    const host_list usual;
    for (const char* host : {"", "localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1:8080", "[::1]:80", "10.1.2.3",
                             "[fe80::1]", "localhost."})
        EXPECT_TRUE(usual.answers(host)) << host;
    for (const char* host : {"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
                             "notlocalhost", "127.0.0.1.nip.io", "."})
        EXPECT_FALSE(usual.answers(host)) << host;
}

TEST(host_list, answers_to_the_names_that_it_has) {
    const host_list named({"Chat.example.org", "*.example.net"});
    for (const char* host :
         {"chat.example.org", "CHAT.example.org:443", "a.example.net", "a.b.example.net", "localhost"})
        EXPECT_TRUE(named.answers(host)) << host;
    for (const char* host : {"example.org", "x.chat.example.org", "example.net", "badexample.net"})
        EXPECT_FALSE(named.answers(host)) << host;
    EXPECT_TRUE(host_list({"*"}).answers("evil.example"));
}

TEST(host_list, entries_are_names) {
    for (const char* good : {"*", "h", "a.example.org", "*.example.org"}) EXPECT_EQ(host_list::flaw(good), "") << good;
    for (const char* wrong : {"", "h:80", "http://h", "*.", "**", "a.*", "h/x"})
        EXPECT_NE(host_list::flaw(wrong), "") << wrong;
}

}  // namespace foz::ws
