// Goal: a connect service is told what a client brings and it may know, and nothing else.
#include "aggregator/shard/connect_question.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

ws::http_request some_request() {
    ws::http_request made;
    made.method = "GET";
    made.path = "/primus/chat";
    made.query = {{"ticket", "a\"b"},
                  {"resume", "secret-of-the-client-0"},
                  {"token", "x.y.z"},
                  {"ticket", "twice"},
                  {"name", "José"}};
    made.headers = {{"Host", "inside"},
                    {"Origin", "https://app.example"},
                    {"Accept-Language", "pt-BR, en;q=0.5"},
                    {"Sec-WebSocket-Protocol", "foz.v1, foz.token.x.y.z"},
                    {"Sec-WebSocket-Protocol", "chat"},
                    {"Cookie", "sid=17; other=secret"},
                    {"Authorization", "Basic YTpi"},
                    {"X-Plan", "gold"},
                    {"x-plan", "silver"},
                    {"X-Secret", "not told"}};
    return made;
}

connect_settings telling(std::vector<std::string> headers = {}, std::vector<std::string> cookies = {}) {
    connect_settings made;
    made.headers = std::move(headers);
    made.cookies = std::move(cookies);
    return made;
}

const connect_circumstances trusted{.address = "203.0.113.9", .host = "app.example", .trusted_page = true};
const connect_circumstances foreign{.address = "203.0.113.9", .host = "app.example"};
const std::string usual =
    R"({"path":"/primus/chat","host":"app.example","address":"203.0.113.9","origin":"https://app.example",)"
    R"("language":"pt-BR, en;q=0.5","query":{"ticket":"a\"b","name":"José"},"protocols":["foz.v1","chat"],)";

TEST(connect_question, tells_no_secret_and_nothing_that_is_not_configured) {
    EXPECT_EQ(connect_question(some_request(), trusted, telling()), usual + R"("headers":{},"cookies":{}})");
}

TEST(connect_question, tells_headers_and_cookies_that_are_configured) {
    EXPECT_EQ(
        connect_question(some_request(), trusted, telling({"X-PLAN", "X-None", "Authorization"}, {"sid", "none"})),
        usual + R"("headers":{"x-plan":"gold, silver","authorization":"Basic YTpi"},"cookies":{"sid":"17"}})");
}

TEST(connect_question, tells_what_a_browser_adds_by_itself_of_trusted_pages_alone) {
    EXPECT_EQ(connect_question(some_request(), foreign, telling({"X-Plan", "authorization"}, {"sid"})),
              usual + R"("headers":{"x-plan":"gold, silver"},"cookies":{}})");
}

TEST(connect_question, of_a_bare_request_has_all_its_members) {
    ws::http_request bare;
    bare.path = "/primus";
    EXPECT_EQ(connect_question(bare, {.address = "::1", .host = ""}, telling({"X-Plan"}, {"sid"})),
              R"({"path":"/primus","host":"","address":"::1","origin":"","language":"","query":{},"protocols":[],)"
              R"("headers":{},"cookies":{}})");
}

TEST(connect_question, that_is_not_utf8_is_not_asked) {
    const auto field = [](auto change) {
        ws::http_request made = some_request();
        change(made);
        const auto question = connect_question(made, trusted, telling({"X-Plan"}, {"sid"}));
        return question ? "" : std::string(to_string(question.error().code)) + " " + question.error().field;
    };
    EXPECT_EQ(field([](auto& r) { r.query.emplace_back("x", "\xff"); }), "bad_query query");
    EXPECT_EQ(field([](auto& r) { r.query.emplace_back("\xff", "x"); }), "bad_query query");
    EXPECT_EQ(field([](auto& r) { r.query.emplace_back("resume", "\xff"); }), "") << "it is not told";
    EXPECT_EQ(field([](auto& r) { r.path = "/primus/\xff"; }), "bad_query path");
    EXPECT_EQ(field([](auto& r) { r.headers.emplace_back("X-Plan", "\xff"); }), "bad_query X-Plan");
    EXPECT_EQ(field([](auto& r) { r.headers[1].second = "https://\xff"; }), "bad_query origin");
    EXPECT_EQ(field([](auto& r) { r.headers[5].second = "sid=\xff"; }), "bad_query sid");
    EXPECT_EQ(field([](auto& r) { r.headers.emplace_back("Sec-WebSocket-Protocol", "\xff"); }),
              "bad_query Sec-WebSocket-Protocol");
    EXPECT_EQ(field([](auto& r) { r.headers.emplace_back("X-Secret", "\xff"); }), "") << "it is not told";
}

}  // namespace
}  // namespace foz::aggregator
