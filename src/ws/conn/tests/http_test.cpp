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
    EXPECT_EQ(parse_http_request("GET / HTTP/3.7\r\n\r\n").error().status, 505u);
    EXPECT_EQ(parse_http_request("GET / HTTP/1\r\n\r\n").error().status, 400u);
    EXPECT_EQ(parse_http_request("\r\n\r\n").error().status, 400u);
    const auto status = [](const std::string& headers) {
        const auto r = parse_http_request("POST / HTTP/1.1\r\n" + headers + "\r\n");
        return r ? 200u : r.error().status;
    };
    EXPECT_EQ(status("Host: h\r\nContent-Length: 0\r\n"), 200u);
    EXPECT_EQ(status("Host: h\r\nContent-Length: 5\r\n"), 413u);
    EXPECT_EQ(status("Host: h\r\nTransfer-Encoding: chunked\r\n"), 413u);
    EXPECT_EQ(status("Host: h\r\nTransfer-Encoding: gzip\r\n"), 413u);
    EXPECT_EQ(status("Host: h\r\nContent-Length: 0\r\nContent-Length: 5\r\n"), 400u);
    EXPECT_EQ(status(""), 400u);
    EXPECT_EQ(status("Host: h\r\nHost: h\r\n"), 400u);
}

TEST(http, every_form_of_target_gives_its_path) {
    const auto path = [](const std::string& target) {
        const auto r = parse_http_request("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
        return r ? r->path + " " + std::string(r->parameter("q").value_or("-")) : "refused";
    };
    EXPECT_EQ(path("/a?q=1"), "/a 1");
    EXPECT_EQ(path("/a?q=http://x/y"), "/a http://x/y");
    EXPECT_EQ(path("/http://x/y"), "/http://x/y -");
    EXPECT_EQ(path("http://h/a?q=1"), "/a 1");
    EXPECT_EQ(path("http://h:80"), "/ -");
    EXPECT_EQ(path("http://h?q=1"), "/ 1");
    EXPECT_EQ(path("*"), "refused");
    EXPECT_EQ(path(".toml"), "refused");
    EXPECT_EQ(path("/../a"), "refused");
}

TEST(http, the_host_is_the_targets_or_the_headers) {
    const auto host = [](const std::string& target, const std::string& header) {
        const auto r = parse_http_request("GET " + target + " HTTP/1.1\r\nHost: " + header + "\r\n\r\n");
        return r ? r->host : "refused";
    };
    EXPECT_EQ(host("/", "h:80"), "h:80");
    EXPECT_EQ(host("http://other/", "h:80"), "other");
    EXPECT_EQ(host("/", ""), "");
    EXPECT_EQ(host("/", "h/x"), "refused");
    EXPECT_EQ(host("/", "u@h"), "refused");
}

TEST(http, a_later_minor_version_is_treated_as_ours) {
    const auto r = parse_http_request("GET / HTTP/1.2\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(r);
    EXPECT_EQ(r->version, 11u);
    EXPECT_TRUE(r->keep_alive);
    EXPECT_EQ(parse_http_request("GET / HTTP/1.9\r\n\r\n").error().status, 400u);  // it has no Host
}

TEST(http, headers_of_one_name_are_joined) {
    const auto r = parse_http_request("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n");
    ASSERT_TRUE(r);
    EXPECT_EQ(r->header("X-A"), "1");
    EXPECT_EQ(r->all("X-A"), "1, 2");
    EXPECT_EQ(r->all("X-B"), "");
}

TEST(http, a_response_is_complete) {
    constexpr wall_time never{};
    const std::string date = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    EXPECT_EQ(to_octets({.status = 404, .body = "no\n", .headers = {{"X-A", "b"}}}, true, never),
              "HTTP/1.1 404 Not Found\r\n" + date +
                  "X-A: b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
                  "Connection: keep-alive\r\n\r\nno\n");
    EXPECT_TRUE(
        to_octets({.body = "x"}, false, never, false).ends_with("Content-Length: 1\r\nConnection: close\r\n\r\n"));
    EXPECT_EQ(to_octets({.status = 204}, true, never),
              "HTTP/1.1 204 No Content\r\n" + date + "Connection: keep-alive\r\n\r\n");
    EXPECT_TRUE(to_octets({.shared = std::make_shared<const std::string>("xy")}, true, never)
                    .ends_with("Content-Length: 2\r\nConnection: keep-alive\r\n\r\nxy"));
}

}  // namespace foz::ws
