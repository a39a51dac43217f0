// Goal: what a connect service answers becomes a client's claims or a refusal in its words; anything else is malformed.
#include "identity/connect_answer.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::identity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::chrono::sys_seconds answered_at{std::chrono::seconds(1'800'000'000)};

connect_answer read_answer(const std::string& json, const connect_rules& rules = {}) {
    auto became = parse_connect_answer(json, rules, answered_at);
    EXPECT_TRUE(became) << json << ": " << became.error();
    return became.value_or(connect_answer{});
}

TEST(connect_answer, lets_a_client_in_with_claims_as_a_token_has_them) {
    const connect_answer answer = read_answer(
        R"({"allow":true,"claims":{"sub":"alice","exp":1800000600,"iat":1799999990,"jti":"c-1","iss":"door","email":"a@b",)"
        R"("foz":{"channels":{"chat":{"consume":["room.*"],"publish":true}},"groups":["staff"],"limits":{"publishes":3},)"
        R"("meta":{"tier":"gold"}}}})",
        {.client_prefix = "guest:", .leeway = std::chrono::seconds(5)});
    EXPECT_TRUE(answer.allow);
    const verified_token& claims = answer.claims;
    EXPECT_EQ(claims.client, "guest:alice");
    EXPECT_EQ(claims.issuer, "door");
    EXPECT_EQ(claims.token_id, "c-1");
    EXPECT_EQ(*claims.ends, answered_at + std::chrono::seconds(605));
    EXPECT_EQ(*claims.issued, answered_at - std::chrono::seconds(10));
    ASSERT_EQ(claims.channels->size(), 1u);
    EXPECT_TRUE(claims.channels->front().publish.all);
    EXPECT_THAT(claims.channels->front().consume.patterns, ElementsAre("room.*"));
    EXPECT_THAT(*claims.groups, ElementsAre("staff"));
    EXPECT_EQ(claims.limits.size(), 1u);
    EXPECT_EQ(claims.meta, R"({"tier":"gold"})");
}

TEST(connect_answer, may_leave_out_who_the_client_is_and_how_long_it_stays) {
    for (const char* const json : {R"({"allow":true})", R"({"allow":true,"claims":{}})"}) {
        const connect_answer answer = read_answer(json, {.client_prefix = "guest:"});
        EXPECT_TRUE(answer.allow);
        EXPECT_THAT(answer.claims.client, IsEmpty()) << "nobody in particular has no prefix";
        EXPECT_FALSE(answer.claims.ends);
        EXPECT_FALSE(answer.claims.channels);
        EXPECT_FALSE(answer.claims.groups);
    }
    const connect_answer some = read_answer(R"( {"claims":{"foz":{"channels":{}}},"allow":true} )");
    EXPECT_THAT(*some.claims.channels, IsEmpty()) << "nothing is granted";
}

TEST(connect_answer, denies_with_words) {
    const connect_answer answer =
        read_answer(R"({"allow":false,"code":"full","text":"Sorry,\nthe house is full: à demain"})");
    EXPECT_FALSE(answer.allow);
    EXPECT_EQ(answer.code, "full");
    EXPECT_EQ(answer.text, "Sorry,\nthe house is full: à demain");
    EXPECT_FALSE(read_answer(R"({"allow":false})").allow);
    EXPECT_EQ(read_answer(R"({"allow":false,"text":""})").text, "");
}

TEST(connect_answer, that_is_anything_else_is_malformed) {
    const std::string words(denial_text_octets_max + 1, 'x');
    const std::string code(denial_code_octets_max + 1, 'x');
    const auto claims = [](const std::string& members) { return R"({"allow":true,"claims":{)" + members + "}}"; };
    const std::vector<std::pair<std::string, std::string>> all{
        {"", "it is not a JSON object"},
        {"null", "it is not a JSON object"},
        {"true", "it is not a JSON object"},
        {"[]", "it is not a JSON object"},
        {R"("allow")", "it is not a JSON object"},
        {R"({"allow":true)", "it is not a JSON object"},
        {R"({"allow":true}{})", "it is not a JSON object"},
        {"{\"allow\":true,\"claims\":{\"sub\":\"\xff\"}}", "it is not a JSON object"},
        {R"({"allow":true,"claims":)" + std::string(40, '[') + std::string(40, ']') + "}", "it is not a JSON object"},
        {R"({"allow":false,"allow":true})", "a member is there twice"},
        {R"({"allow":false,"\u0061llow":true})", "a member is there twice"},
        {claims(R"("sub":"a","sub":"b")"), "a member is there twice"},
        {"{}", "allow is not there as true or false"},
        {R"({"Allow":true})", "allow is not there as true or false"},
        {R"({"allow":"true"})", "allow is not there as true or false"},
        {R"({"allow":1})", "allow is not there as true or false"},
        {R"({"allow":null})", "allow is not there as true or false"},
        {R"({"allow":true,"claim":{}})", "it has a member that does not belong there"},
        {R"({"allow":true,"sub":"alice"})", "it has a member that does not belong there"},
        {R"({"allow":true,"text":"welcome"})", "it has a member that does not belong there"},
        {R"({"allow":false,"claims":{}})", "it has a member that does not belong there"},
        {R"({"allow":false,"text":7})", "text is not a text of at most 1024 octets"},
        {R"({"allow":false,"text":")" + words + "\"}", "text is not a text of at most 1024 octets"},
        {R"({"allow":false,"code":""})", "code is not a text of 1 to 64 octets"},
        {R"({"allow":false,"code":"a\nb"})", "code is not a text of 1 to 64 octets"},
        {R"({"allow":false,"code":")" + code + "\"}", "code is not a text of 1 to 64 octets"},
        {R"({"allow":false,"code":null})", "code is not a text of 1 to 64 octets"},
        {R"({"allow":true,"claims":null})", "claims is not an object"},
        {R"({"allow":true,"claims":"eyJ"})", "claims is not an object"},
        {claims(R"("sub":7)"), "claims: bad_subject"},
        {claims(R"("sub":"")"), "claims: bad_subject"},
        {claims(R"("sub":"anon-x")"), "claims: reserved_subject"},
        {claims(R"("sub":"session:x")"), "claims: reserved_subject"},
        {claims(R"("exp":"soon")"), "claims: bad_time"},
        {claims(R"("exp":1799999969)"), "claims: expired"},
        {claims(R"("nbf":1800000031)"), "claims: not_yet_valid"},
        {claims(R"("iat":1800000031)"), "claims: issued_in_future"},
        {claims(R"("jti":"")"), "claims: bad_token_id"},
        {claims(R"("aud":7)"), "claims: bad_audience"},
        {claims(R"("iss":7)"), "claims: iss is not a text of 1 to 255 octets"},
        {claims(R"("foz":{"channels":[]})"), "claims: bad_channels"},
        {claims(R"("foz":{"channels":{"chat":{"everything":true}}})"), "claims: bad_channels"},
        {claims(R"("foz":{"groups":"staff"})"), "claims: bad_groups"},
        {claims(R"("foz":{"limits":{"publishes":-1}})"), "claims: bad_limits"},
        {claims(R"("foz":{"meta":")" + std::string(meta_octets_max, 'x') + "\"}"), "claims: meta_too_large"},
        {R"({"allow":false,"text":")" + std::string(connect_answer_octets_max, 'x') + "\"}",
         "it is longer than 64 KiB"},
    };
    for (const auto& [json, why] : all) {
        const auto became = parse_connect_answer(json, {}, answered_at);
        ASSERT_FALSE(became) << json;
        EXPECT_EQ(became.error(), why) << json.substr(0, 200);
    }
}

}  // namespace
}  // namespace foz::identity
