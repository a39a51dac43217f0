#include "ws/conn/http.hpp"

#include <gtest/gtest.h>

namespace foz::ws {

TEST(http, a_request_is_taken_apart) {
    const auto r = parse_http_request(
        "GET /a%20b/c?x=1&y=a%2Bb+c&flag&z=%zz HTTP/1.1\r\nHost: h\r\ncookie: a=1; foz_resume=secret; b=2\r\n\r\n");
    ASSERT_TRUE(r);
    EXPECT_EQ(r->method, "GET");
    EXPECT_EQ(r->path, "/a b/c");
    EXPECT_EQ(r->parameter("x"), "1");
    EXPECT_EQ(r->parameter("y"), "a+b c");
    EXPECT_EQ(r->parameter("flag"), "");
    EXPECT_EQ(r->parameter("z"), "%zz");
    EXPECT_FALSE(r->parameter("nothing"));
    EXPECT_EQ(r->header("HOST"), "h");
    EXPECT_EQ(r->cookie("foz_resume"), "secret");
    EXPECT_EQ(r->cookie("c"), "");
    EXPECT_TRUE(r->keep_alive);
    EXPECT_FALSE(parse_http_request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
}

TEST(http, what_is_no_request_gets_its_status) {
    EXPECT_EQ(parse_http_request("nonsense\r\n\r\n").error().status, 400u);
    EXPECT_EQ(parse_http_request("GET / HTTP/1.1\r\nHost h\r\n\r\n").error().status, 400u);
    EXPECT_EQ(parse_http_request("GET / HTTP/3.7\r\n\r\n").error().status, 400u);
    EXPECT_EQ(parse_http_request("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n").error().status, 413u);
    EXPECT_EQ(parse_http_request("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").error().status, 413u);
}

TEST(http, a_response_is_complete) {
    EXPECT_EQ(to_octets({.status = 404, .body = "no\n", .headers = {{"X-A", "b"}}}, true),
              "HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
              "Connection: keep-alive\r\n\r\nno\n");
    EXPECT_TRUE(to_octets({.body = "x"}, false, false).ends_with("Content-Length: 1\r\nConnection: close\r\n\r\n"));
}

}  // namespace foz::ws
