#include "ws/conn/request_target.hpp"

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

// "AUTHORITY PATH", or "refused".
std::string parsed(const std::string& target, const std::string& method = "GET") {
    const auto r = parse_request_target(method, target);
    return r ? r->authority + " " + r->path : "refused";
}

}  // namespace

TEST(request_target, the_origin_form_begins_with_a_slash) {
    EXPECT_EQ(parsed("/"), " /");
    EXPECT_EQ(parsed("/a/b.txt"), " /a/b.txt");
    EXPECT_EQ(parsed("/http://x/y"), " /http://x/y");
    for (const char* wrong : {"", ".toml", "-private/x", "%2etoml", "%2Fa", "a/b", "?q=1", "#a", "h:80", "ftp://h/a"})
        EXPECT_EQ(parsed(wrong), "refused") << wrong;
}

TEST(request_target, the_absolute_form_has_a_host) {
    EXPECT_EQ(parsed("http://h/a"), "h /a");
    EXPECT_EQ(parsed("HTTPS://h:80"), "h:80 /");
    EXPECT_EQ(parsed("http://[::1]:8080?q=1"), "[::1]:8080 /");
    for (const char* wrong : {"http://", "http:///a", "http://u@h/a", "http://h:x/", "http://[::1/", "http://[]/",
                              "http://h%2f/", "http://h:123456/"})
        EXPECT_EQ(parsed(wrong), "refused") << wrong;
}

TEST(request_target, the_asterisk_is_for_options) {
    EXPECT_EQ(parsed("*", "OPTIONS"), " *");
    EXPECT_EQ(parsed("*"), "refused");
    EXPECT_EQ(parsed("**", "OPTIONS"), "refused");
}

TEST(request_target, a_path_is_decoded_once_and_has_no_dot_segments) {
    EXPECT_EQ(parsed("/a%20b"), " /a b");
    EXPECT_EQ(parsed("/%252e%252e/x"), " /%2e%2e/x");
    EXPECT_EQ(parsed("/a/./b/../c"), " /a/c");
    EXPECT_EQ(parsed("/a/%2e%2E/c"), " /c");
    EXPECT_EQ(parsed("/a/.."), " /");
    EXPECT_EQ(parsed("/a/b/."), " /a/b/");
    EXPECT_EQ(parsed("/a//b"), " /a//b");
    EXPECT_EQ(parsed("/..a/b.."), " /..a/b..");
    for (const char* wrong : {"/..", "/../a", "/a/../../b", "/%2e%2e/a", "/a%2f..%2f..", "/%00", "/a%0ab", "/a%7f",
                              "/a\\b", "/a b", "/\x80", "/a%", "/a%2", "/%zz", "/a#b"})
        EXPECT_EQ(parsed(wrong), "refused") << wrong;
    EXPECT_EQ(parsed("/a%5cb"), " /a\\b");
}

TEST(request_target, a_query_is_a_list_of_pairs) {
    const auto r = parse_request_target("GET", "/p?x=1&y=a%2Bb+c&flag&&z=%zz&=e&u=http://x/y%00");
    ASSERT_TRUE(r);
    using pairs = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(r->query, (pairs{{"x", "1"},
                               {"y", "a+b c"},
                               {"flag", ""},
                               {"z", "%zz"},
                               {"", "e"},
                               {"u", std::string("http://x/y\0", 11)}}));
}

TEST(request_target, what_an_authority_is) {
    for (const char* good : {"h", "h:80", "h:", "127.0.0.1:8080", "[::1]", "[::ffff:1.2.3.4]:1", "a-b.example."})
        EXPECT_TRUE(is_authority(good)) << good;
    for (const char* wrong : {"", ":80", "h:8x", "h/a", "u@h", "[::1]x", "[::1", "::1", "h h", "[g]", "h:80:80"})
        EXPECT_FALSE(is_authority(wrong)) << wrong;
}

}  // namespace foz::ws
