#include "amqp/codec/url.hpp"

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

url parsed(std::string_view text) {
    const auto result = parse_url(text);
    EXPECT_TRUE(result) << text << ": " << result.error().text;
    return result.value_or(url{});
}

void expect_error(std::string_view text, url_errc part) {
    const auto result = parse_url(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().part, part) << text << ": " << result.error().text;
    EXPECT_FALSE(result.error().text.empty());
}

}  // namespace

TEST(url, the_examples_of_rabbitmq_s_specification) {
    EXPECT_EQ(parsed("amqp://user:pass@host:10000/vhost"),
              (url{.user = "user", .password = "pass", .host = "host", .port = 10000, .vhost = "vhost"}));
    EXPECT_EQ(parsed("amqp://user%61:%61pass@ho%61st:10000/v%2fhost"),
              (url{.user = "usera", .password = "apass", .host = "hoast", .port = 10000, .vhost = "v/host"}));
    EXPECT_EQ(parsed("amqp://"), url{});
    EXPECT_EQ(parsed("amqp://:@/"), (url{.user = "", .password = "", .vhost = ""}));
    EXPECT_EQ(parsed("amqp://user@"), (url{.user = "user"}));
    EXPECT_EQ(parsed("amqp://user:pass@"), (url{.user = "user", .password = "pass"}));
    EXPECT_EQ(parsed("amqp://host"), (url{.host = "host"}));
    EXPECT_EQ(parsed("amqp://:10000"), (url{.port = 10000}));
    EXPECT_EQ(parsed("amqp:///vhost"), (url{.vhost = "vhost"}));
    EXPECT_EQ(parsed("amqp://host/"), (url{.host = "host", .vhost = ""}));
    EXPECT_EQ(parsed("amqp://host/%2f"), (url{.host = "host", .vhost = "/"}));
    EXPECT_EQ(parsed("amqp://[::1]"), (url{.host = "::1"}));
}

TEST(url, tls_has_its_own_port_and_the_scheme_ignores_case) {
    EXPECT_EQ(parsed("amqps://host"), (url{.tls = true, .host = "host", .port = 5671}));
    EXPECT_EQ(parsed("AMQPS://[fe80::1%25eth0]:1234/"),
              (url{.tls = true, .host = "fe80::1%eth0", .port = 1234, .vhost = ""}));
}

TEST(url, query_parameters) {
    const url u = parsed(
        "amqps://h/v?heartbeat=10&connection_timeout=2500&channel_max=100&frame_max=131072&cacertfile=%2Fetc%2Fca.pem"
        "&certfile=/c&keyfile=/k&verify=verify_peer&server_name_indication=broker.example&auth_mechanism=external");
    EXPECT_EQ(u.heartbeat, std::chrono::seconds(10));
    EXPECT_EQ(u.connection_timeout, std::chrono::milliseconds(2500));
    EXPECT_EQ(u.channel_max, 100);
    EXPECT_EQ(u.frame_max, 131072u);
    EXPECT_EQ(u.cacertfile, "/etc/ca.pem");
    EXPECT_EQ(u.verify, true);
    EXPECT_EQ(u.server_name_indication, "broker.example");
    EXPECT_EQ(u.auth_mechanism, "EXTERNAL");
    EXPECT_EQ(u.vhost, "v");
    EXPECT_EQ(parsed("amqp://h?heartbeat=0").heartbeat, std::chrono::seconds(0));
    EXPECT_EQ(parsed("amqps://h?verify=verify_none").verify, false);
    EXPECT_EQ(parsed("amqp://h?auth_mechanism=plain").auth_mechanism, "PLAIN");
}

TEST(url, errors_name_the_part_that_is_wrong) {
    expect_error("", url_errc::scheme);
    expect_error("http://host", url_errc::scheme);
    expect_error("guest:guest@host", url_errc::scheme);
    expect_error("amqp://host:0", url_errc::port);
    expect_error("amqp://host:65536", url_errc::port);
    expect_error("amqp://host:56a", url_errc::port);
    expect_error("amqp://[::1]x", url_errc::port);
    expect_error("amqp://[::1", url_errc::host);
    expect_error("amqp://[host]", url_errc::host);
    expect_error("amqp://ho st", url_errc::host);
    expect_error("amqp://ho%zzst", url_errc::host);
    expect_error("amqp://us%2:p@host", url_errc::credentials);
    expect_error("amqp://user:p%00@host", url_errc::credentials);
    expect_error("amqp://host/a/b", url_errc::vhost);
    expect_error("amqp://host/%", url_errc::vhost);
    expect_error("amqp://host/" + std::string(256, 'v'), url_errc::vhost);
    expect_error("amqp://host?heartbeat=x", url_errc::parameter);
    expect_error("amqp://host?heartbeat", url_errc::parameter);
    expect_error("amqp://host?heartbeat=65536", url_errc::parameter);
    expect_error("amqp://host?verify=yes", url_errc::parameter);
    expect_error("amqp://host?heartbeet=1", url_errc::parameter);
    for (const char* useless :
         {"amqp://host?cacertfile=/ca", "amqp://host?certfile=/c&keyfile=/k", "amqp://host?verify=verify_peer",
          "amqp://host?server_name_indication=h", "amqps://host?certfile=/c", "amqps://host?keyfile=/k",
          "amqps://host?auth_mechanism=external", "amqp://host?auth_mechanism=external",
          "amqps://host?auth_mechanism=amqplain", "amqp://host?frame_max=100", "amqp://host?channel_max=65536",
          "amqps://host?verify=verify_peer&verify=verify_none", "amqp://host?heartbeat=1&heartbeat=1"})
        expect_error(useless, url_errc::parameter);
    EXPECT_NE(parse_url("amqp://host?heartbeet=1").error().text.find("heartbeet"), std::string::npos);
}

TEST(url, a_password_that_is_not_encoded_is_refused_without_repeating_it) {
    for (const char* text : {"amqp://user:se@cret@host", "amqp://user:se/cret@host", "amqp://user:se?cret@host",
                             "amqp://user:se#cret@host", "amqp://user:s@e/cret@host", "user:secret@host",
                             "amqp://user:secret", "amqp://user:se%cret@host"}) {
        const auto result = parse_url(text);
        ASSERT_FALSE(result) << text;
        EXPECT_EQ(result.error().text.find("cret"), std::string::npos) << text << ": " << result.error().text;
    }
}

TEST(url, redacted_never_shows_the_password) {
    EXPECT_EQ(parsed("amqps://us%40er:secret@host:10000/v%2fh?heartbeat=10").redacted(),
              "amqps://us%40er:***@host:10000/v%2fh");
    EXPECT_EQ(parsed("amqp://").redacted(), "amqp://guest:***@localhost:5672/%2f");
    EXPECT_EQ(parsed("amqp://[::1]/").redacted(), "amqp://guest:***@[::1]:5672/");
    EXPECT_EQ(parsed("amqps://us%40er:secret@[::1]").without_user(), "amqps://[::1]:5671/%2f");
}

TEST(url, redacted_leads_back_to_the_same_place) {
    const url u = parsed("amqps://user:secret@[2001:db8::1]:10000/v%2fh");
    url again = parsed(u.redacted());
    EXPECT_EQ(again.password, "***");
    again.password = u.password;
    EXPECT_EQ(again, u);
}

}  // namespace foz::amqp
