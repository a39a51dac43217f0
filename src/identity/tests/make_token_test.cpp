// Goal: tokens for development say what they were told to, and no secret stands in an error.
#include "identity/make_token.hpp"

#include "identity/tests/signer.hpp"
#include "identity/token_text.hpp"

#include <string>

#include <gtest/gtest.h>

namespace foz::identity {
namespace {

token_request request() {
    return {.secret = std::string(32, 's'),
            .subject = "alice",
            .issuer = "i",
            .issued = std::chrono::sys_seconds(std::chrono::seconds(1000)),
            .expires = std::chrono::sys_seconds(std::chrono::seconds(2000))};
}

TEST(a_made_token, has_the_claims_in_order) {
    token_request what = request();
    EXPECT_EQ(read_contents(make_token(what).value())->claims, R"({"iss":"i","sub":"alice","iat":1000,"exp":2000})");
    EXPECT_EQ(read_contents(make_token(what).value())->header, R"({"alg":"HS256","typ":"JWT"})");
    what.audience = {"foz"};
    what.token_id = "t";
    what.key_id = "k";
    what.more = R"({"foz": {"groups": ["a"]}, "x\ny": 1.5})";
    EXPECT_EQ(
        read_contents(make_token(what).value())->claims,
        R"({"iss":"i","sub":"alice","aud":"foz","iat":1000,"exp":2000,"jti":"t","foz":{"groups":["a"]},"x\ny":1.5})");
    EXPECT_EQ(read_contents(make_token(what).value())->header, R"({"alg":"HS256","typ":"JWT","kid":"k"})");
    what.audience = {"foz", "other"};
    EXPECT_NE(read_contents(make_token(what).value())->claims.find(R"("aud":["foz","other"])"), std::string::npos);
}

TEST(a_made_token, takes_the_key_id_of_a_jwk) {
    token_request what = request();
    what.secret.clear();
    what.key = R"({"kty":"oct","kid":"mine","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"})";
    EXPECT_EQ(read_contents(make_token(what).value())->header, R"({"alg":"HS256","typ":"JWT","kid":"mine"})");
}

TEST(a_token_that_can_not_be_made, is_told_in_one_line) {
    const auto why = [](auto change) {
        token_request what = request();
        change(what);
        return make_token(what).error();
    };
    EXPECT_EQ(why([](auto& t) { t.secret = "hunter2"; }), "a secret has at least 32 octets (RFC 7518 §3.2)");
    EXPECT_EQ(why([](auto& t) { t.algorithm = "RS256"; }), "this key can't be used for RS256");
    EXPECT_EQ(why([](auto& t) { t.algorithm = "HS512"; }), "this key can't be used for HS512");
    EXPECT_EQ(why([](auto& t) { t.algorithm = "EdDSA"; }), "there is no algorithm EdDSA");
    EXPECT_EQ(why([](auto& t) { t.more = "[]"; }), "the claims are not a JSON object");
    EXPECT_EQ(why([](auto& t) { t.more = R"({"a":1,"a":2})"; }), "the claims have a member twice");
    EXPECT_EQ(why([](auto& t) { t.more = R"({"sub":"bob"})"; }), "the claims say sub again");
    const auto with_key = [&](const std::string& key) {
        return why([&](auto& t) {
            t.secret.clear();
            t.key = key;
        });
    };
    EXPECT_EQ(with_key("hunter2"), "neither a JWK nor PEM");
    EXPECT_EQ(with_key(test_key::ec("P-256").public_pem()), "this is no private key");
    EXPECT_EQ(with_key(test_key::ed25519().private_pem()), "the PEM key is neither RSA nor EC; libcjose has no EdDSA");
    EXPECT_EQ(with_key(test_key::rsa(1024).private_pem()), "a key of a type or size that Foz does not support");
}

TEST(contents, are_read_from_tokens_that_nobody_has_verified) {
    EXPECT_EQ(read_contents(signing_input(R"({ "a" : 1 })", R"({"b":[]})") + ".")->header, R"({"a":1})");
    EXPECT_FALSE(read_contents("a.b.c"));
    EXPECT_FALSE(read_contents(""));
    EXPECT_FALSE(read_contents(signing_input("{}", "[]") + "."));
}

}  // namespace
}  // namespace foz::identity
