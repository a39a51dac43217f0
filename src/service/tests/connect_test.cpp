// Goal: a question about a client becomes values, a decision the JSON that an aggregator understands.
#include "service/connect.hpp"

#include "service/connect_json.hpp"

#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::service {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(connect_question, becomes_values) {
    const auto asked = parse_connect_question(
        R"({"path":"/primus/chat","host":"app.example","address":"203.0.113.9","origin":"https://app.example",)"
        R"("language":"pt-BR","query":{"ticket":"a\"b","channel":"chat"},"protocols":["foz.v1"],)"
        R"("headers":{"x-plan":"gold"},"cookies":{"sid":"1"},"later":[1,{"more":true}]})");
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->path, "/primus/chat");
    EXPECT_EQ(asked->host, "app.example");
    EXPECT_EQ(asked->address, "203.0.113.9");
    EXPECT_EQ(asked->origin, "https://app.example");
    EXPECT_EQ(asked->language, "pt-BR");
    EXPECT_THAT(asked->query, ElementsAre(Pair("channel", "chat"), Pair("ticket", "a\"b")));
    EXPECT_THAT(asked->protocols, ElementsAre("foz.v1"));
    EXPECT_THAT(asked->headers, ElementsAre(Pair("x-plan", "gold")));
    EXPECT_THAT(asked->cookies, ElementsAre(Pair("sid", "1")));
}

TEST(connect_question, lacks_what_is_missing_or_of_another_kind) {
    const auto asked = parse_connect_question(R"({"path":7,"query":["x"],"protocols":[1,"a"],"headers":{"x":1}})");
    ASSERT_TRUE(asked);
    EXPECT_THAT(asked->path, IsEmpty());
    EXPECT_THAT(asked->query, IsEmpty());
    EXPECT_THAT(asked->protocols, ElementsAre("a"));
    EXPECT_THAT(asked->headers, IsEmpty());
    for (const char* const other : {"", "null", "[]", "{", "\"x\""})
        EXPECT_FALSE(parse_connect_question(other)) << other;
}

TEST(connect_decision, is_json) {
    EXPECT_EQ(connect_decision::allow().json(), R"({"allow":true,"claims":{}})");
    EXPECT_EQ(connect_decision::allow(R"({"sub":"a"})").json(), R"({"allow":true,"claims":{"sub":"a"}})");
    EXPECT_EQ(connect_decision::deny("no \"seat\"").json(), R"({"allow":false,"text":"no \"seat\""})");
    EXPECT_EQ(connect_decision::deny("no", "full").json(), R"({"allow":false,"code":"full","text":"no"})");
    EXPECT_THROW(connect_decision::allow("{"), std::invalid_argument);
    EXPECT_THROW(connect_decision::deny("\xff"), std::invalid_argument);
}

TEST(connect_decision, that_an_aggregator_would_not_take_is_none) {
    EXPECT_NO_THROW(connect_decision::deny(std::string(1024, 'x'), std::string(64, 'x')));
    EXPECT_THROW(connect_decision::deny(std::string(1025, 'x')), std::invalid_argument);
    EXPECT_THROW(connect_decision::deny("no", std::string(65, 'x')), std::invalid_argument);
}

}  // namespace
}  // namespace foz::service
