// Goal: a fetch is bounded in time and size, follows no redirect, and stops when it is told to.
#include "identity/http_get.hpp"

#include "identity/tests/http_server.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::identity {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::atomic<bool> never = false;

auto get(const http_server& from, const std::string& path = "/keys") {
    return http_get(from.url(path), {.timeout = 2s, .octets_max = 1000}, never);
}

TEST(http_get, gives_the_body) {
    const http_server server([](const std::string&) { return http_server::ok("hello"); });
    const auto body = get(server);
    ASSERT_TRUE(body) << body.error();
    EXPECT_EQ(*body, "hello");
}

TEST(http_get, takes_no_other_status_than_200) {
    const http_server server(
        [](const std::string&) { return "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"; });
    EXPECT_EQ(get(server).error(), "the answer's status is 404");
}

TEST(http_get, follows_no_redirect) {
    const http_server server([](const std::string& head) -> std::string {
        if (head.starts_with("GET /other")) return http_server::ok("elsewhere");
        return "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
    });
    EXPECT_EQ(get(server).error(), "the answer's status is 302");
    EXPECT_EQ(server.requests(), 1);
}

TEST(http_get, takes_no_more_than_it_was_told_whether_the_size_is_said_or_not) {
    const http_server server([](const std::string& head) {
        const std::string body(1001, 'x');
        return head.starts_with("GET /said") ? http_server::ok(body)
                                             : "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body;
    });
    EXPECT_EQ(get(server, "/said").error(), "the answer is larger than 1000 octets");
    EXPECT_EQ(get(server, "/unsaid").error(), "the answer is larger than 1000 octets");
}

TEST(http_get, gives_up_when_the_time_is_over) {
    const http_server server([](const std::string&) { return std::string(); });
    const auto begin = std::chrono::steady_clock::now();
    const auto body = http_get(server.url(), {.timeout = 200ms, .octets_max = 1000}, never);
    ASSERT_FALSE(body);
    EXPECT_THAT(body.error(), HasSubstr("Timeout"));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
}

TEST(http_get, stops_when_it_is_told_to) {
    std::atomic<bool> stop = false;
    const http_server server([&](const std::string&) {
        stop = true;
        return std::string();
    });
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(http_get(server.url(), {.timeout = 60s, .octets_max = 1000}, stop));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST(http_get, says_when_nobody_listens) {
    std::string url;
    {
        const http_server server([](const std::string&) { return std::string(); });
        url = server.url();
    }
    EXPECT_FALSE(http_get(url, {.timeout = 2s, .octets_max = 1000}, never));
}

TEST(a_url_to_fetch_from, is_https_or_on_the_loopback) {
    for (const char* good :
         {"https://idp.example/keys", "https://idp.example:8443/keys?x=1", "http://127.0.0.1/keys",
          "http://127.8.9.1:80/", "http://[::1]:8080/keys", "http://localhost/keys", "http://0x7f.1/"})
        EXPECT_EQ(flaw_of_fetch_url(good), "") << good;
    for (const char* bad :
         {"", "idp.example/keys", "http://idp.example/keys", "http://127.0.0.1.evil.example/",
          "http://localhost.evil.example/", "http://128.0.0.1/", "http://[::2]/", "file:///etc/passwd",
          "ftp://127.0.0.1/", "https://user:word@idp.example/", "http://127.0.0.1@evil.example/", "https://"})
        EXPECT_NE(flaw_of_fetch_url(bad), "") << bad;
    EXPECT_EQ(http_get("http://idp.example/", {.octets_max = 10}, never).error(),
              "https:// is expected; http:// is for loopback addresses alone");
}

}  // namespace
}  // namespace foz::identity
