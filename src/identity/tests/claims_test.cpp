// Goal: what a good token says comes out as values, from where the configuration says that it stands.
#include "identity/claim_path.hpp"
#include "identity/tests/signer.hpp"
#include "identity/verifier.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::identity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string some_secret(32, 's');

verified_token read(const std::string& claims, issuer_settings settings = {}) {
    static const scratch files;
    static const fixed_clock time;
    settings.name = "a";
    settings.issuer = "i";
    settings.secret_file = files.file("secret", some_secret);
    const verifier verify({settings}, {}, time);
    const auto became =
        verify.verify(token_of(some_secret, R"({"alg":"HS256","typ":"at+jwt"})", R"({"iss":"i",)" + claims + "}"));
    EXPECT_TRUE(became) << code_of(became.error());
    return became.value_or(verified_token{});
}

std::int64_t seconds(std::chrono::sys_seconds at) {
    return at.time_since_epoch().count();
}

TEST(claims, become_values) {
    const verified_token token =
        read(R"("sub":"älice|7","exp":1800000600.9,"nbf":1800000000,"iat":1799999000,"jti":"t-1","aud":"x","foz":{)"
             R"("channels":{"chat":{"consume":["room.*","#"],"publish":true},"voice":{"request":false}},)"
             R"("groups":["admins","chess"],"limits":{"rate":5},"meta":{"tier": "gold", "n": [1, 2]}})");
    EXPECT_EQ(token.subject, "älice|7");
    EXPECT_EQ(token.issuer, "i");
    EXPECT_EQ(token.token_id, "t-1");
    EXPECT_EQ(seconds(token.expires), 1'800'000'600);
    EXPECT_EQ(seconds(*token.issued), 1'799'999'000);
    ASSERT_EQ(token.channels->size(), 2u);
    const channel_grant& chat = token.channels->front();
    EXPECT_EQ(chat.channel, "chat");
    EXPECT_FALSE(chat.consume.all);
    EXPECT_THAT(chat.consume.patterns, ElementsAre("room.*", "#"));
    EXPECT_TRUE(chat.publish.allows("anything.at.all"));
    EXPECT_FALSE(chat.request.allows("anything"));
    EXPECT_FALSE(token.channels->back().request.all);
    EXPECT_THAT(*token.groups, ElementsAre("admins", "chess"));
    ASSERT_EQ(token.limits.size(), 1u);
    EXPECT_EQ(token.limits[0].name, "rate");
    EXPECT_EQ(token.limits[0].value, 5u);
    EXPECT_EQ(token.meta, R"({"tier":"gold","n":[1,2]})");
}

TEST(claims, that_are_missing_say_nothing) {
    const verified_token token = read(R"("sub":"a","exp":1800000600)");
    EXPECT_FALSE(token.channels);
    EXPECT_FALSE(token.groups);
    EXPECT_FALSE(token.issued);
    EXPECT_THAT(token.limits, IsEmpty());
    EXPECT_EQ(token.meta, "");
    EXPECT_EQ(token.token_id, "");
    const verified_token nothing = read(R"("sub":"a","exp":1800000600,"foz":{"channels":{},"groups":[]})");
    EXPECT_TRUE(nothing.channels && nothing.channels->empty()) << "said, and nothing is granted";
    EXPECT_TRUE(nothing.groups && nothing.groups->empty());
    EXPECT_FALSE(read(R"("sub":"a","exp":1800000600,"foz":5)").channels) << "somebody else's claim";
}

TEST(a_permission, is_by_topic) {
    const permission rooms{.patterns = {"room.*", "news.#"}};
    EXPECT_TRUE(rooms.allows("room.1"));
    EXPECT_FALSE(rooms.allows("room.1.2"));
    EXPECT_TRUE(rooms.allows("news"));
    EXPECT_FALSE(rooms.allows("other"));
    EXPECT_FALSE(permission{}.allows("other"));
}

TEST(a_claim, stands_where_the_configuration_says) {
    issuer_settings settings;
    settings.claim_groups = "realm_access.roles";
    settings.claim_meta = "/https:~1~1foz.example~1meta";
    settings.claim_limits = "/a~0b";
    const verified_token token = read(R"("sub":"a","exp":1800000600,"realm_access":{"roles":["r"]},)"
                                      R"("https://foz.example/meta":"m","a~b":{"n":1})",
                                      settings);
    EXPECT_THAT(*token.groups, ElementsAre("r"));
    EXPECT_EQ(token.meta, "\"m\"");
    EXPECT_EQ(token.limits.front().value, 1u);
}

TEST(a_claim_path, is_a_pointer_or_has_dots) {
    EXPECT_THAT(parse_claim_path("/foz/channels").value(), ElementsAre("foz", "channels"));
    EXPECT_THAT(parse_claim_path("foz.channels").value(), ElementsAre("foz", "channels"));
    EXPECT_THAT(parse_claim_path("roles").value(), ElementsAre("roles"));
    EXPECT_THAT(parse_claim_path("/a.b/c").value(), ElementsAre("a.b", "c"));
    for (const char* bad : {"", "/", ".", "a.", ".a", "/a/", "/a//b", "/a~", "/a~2", "a.b.c.d.e.f.g.h.i"})
        EXPECT_FALSE(parse_claim_path(bad)) << bad;
}

TEST(times, are_taken_with_leeway) {
    issuer_settings settings;
    settings.leeway = std::chrono::seconds(30);
    EXPECT_EQ(read(R"("sub":"a","exp":1799999971)", settings).subject, "a");
    EXPECT_EQ(read(R"("sub":"a","exp":1800000600,"nbf":1800000030,"iat":1800000030)", settings).subject, "a");
    settings.lifetime_max = std::chrono::seconds(0);
    EXPECT_EQ(read(R"("sub":"a","exp":253402300799)", settings).subject, "a") << "not limited";
    settings.lifetime_max = std::chrono::seconds(60);
    EXPECT_EQ(read(R"("sub":"a","exp":1800000090)", settings).subject, "a");
}

TEST(an_audience, is_one_of_several) {
    issuer_settings settings;
    settings.audience = {"foz", "foz-test"};
    EXPECT_EQ(read(R"("sub":"a","exp":1800000600,"aud":"foz-test")", settings).subject, "a");
    EXPECT_EQ(read(R"("sub":"a","exp":1800000600,"aud":["other","foz"])", settings).subject, "a");
}

TEST(a_type, may_be_said_in_several_ways) {
    const scratch files;
    const fixed_clock time;
    const verifier verify({{.name = "a", .issuer = "i", .secret_file = files.file("secret", some_secret)}}, {}, time);
    for (const char* typ : {"JWT", "jwt", "at+jwt", "application/at+jwt", "Application/JWT"})
        EXPECT_TRUE(verify.verify(token_of(some_secret, R"({"alg":"HS256","typ":")" + std::string(typ) + "\"}",
                                           R"({"iss":"i","sub":"a","exp":1800000600})")))
            << typ;
}

TEST(bounds, are_inclusive) {
    const auto with = [](const std::string& rest) { return read(R"("exp":1800000600,)" + rest); };
    EXPECT_EQ(with(R"("sub":")" + std::string(128, 's') + "\"").subject.size(), 128u);
    EXPECT_EQ(with(R"("sub":"a","jti":")" + std::string(255, 'j') + "\"").token_id.size(), 255u);
    EXPECT_EQ(with(R"("sub":"a","foz":{"meta":")" + std::string(4094, 'm') + "\"}").meta.size(), 4096u);
}

}  // namespace
}  // namespace foz::identity
