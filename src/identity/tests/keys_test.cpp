// Goal: of a set of keys those that can be used are taken, and nothing that would be a danger.
#include "identity/keys.hpp"

#include "base/encoding.hpp"
#include "identity/tests/signer.hpp"
#include "identity/verifier.hpp"

#include <string>

#include <gtest/gtest.h>

namespace foz::identity {
namespace {

const test_key& rsa() {
    static const test_key one = test_key::rsa();
    return one;
}
const test_key& curve() {
    static const test_key one = test_key::ec("P-256");
    return one;
}
std::string secret_jwk(std::size_t octets) {
    return R"({"kty":"oct","kid":"s","k":")" + base64url(std::string(octets, 'k')) + "\"}";
}
std::string replaced(std::string in, const std::string& what, const std::string& by) {
    return in.replace(in.find(what), what.size(), by);
}

TEST(a_key_set, takes_what_it_can_use_and_counts_the_rest) {
    const auto made = parse_keys(
        key_set_of({rsa().jwk("r"), curve().jwk("c"), R"({"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"o"})", "5",
                    "{}", R"({"kty":"RSA","n":"AQAB","e":"AQAB"})", secret_jwk(32)}),
        secrets::refused);
    ASSERT_TRUE(made) << made.error();
    ASSERT_EQ(made->keys.size(), 2u);
    EXPECT_EQ(made->passed_over, 5u);
    EXPECT_EQ(made->keys[0].id, "r");
    EXPECT_TRUE(made->keys[0].allowed.contains(algorithm::ps512));
    EXPECT_FALSE(made->keys[0].allowed.contains(algorithm::es256));
    EXPECT_TRUE(made->keys[1].allowed.contains(algorithm::es256));
    EXPECT_FALSE(made->keys[1].allowed.contains(algorithm::es384));
}

TEST(a_key_set, may_be_one_key_or_pem) {
    EXPECT_EQ(parse_keys(rsa().jwk("r"), secrets::refused).value().keys.front().id, "r");
    EXPECT_EQ(parse_keys(rsa().public_pem(), secrets::refused).value().keys.size(), 1u);
    EXPECT_EQ(parse_keys(curve().private_pem(), secrets::refused).value().keys.size(), 1u);
}

TEST(a_key_set, respects_what_is_said_of_a_keys_use) {
    const auto allowed = [](const std::string& more) {
        const auto made = parse_keys(key_set_of({curve().jwk("c", more), rsa().jwk("r")}), secrets::refused);
        return made.value().keys.front().allowed.contains(algorithm::es256);
    };
    EXPECT_TRUE(allowed(""));
    EXPECT_TRUE(allowed(R"(,"use":"sig")"));
    EXPECT_TRUE(allowed(R"(,"use":"sig","key_ops":["sign","verify"],"alg":"ES256")"));
    EXPECT_FALSE(allowed(R"(,"use":"enc")"));
    EXPECT_FALSE(allowed(R"(,"use":null)"));
    EXPECT_FALSE(allowed(R"(,"key_ops":["sign"])"));
    EXPECT_FALSE(allowed(R"(,"key_ops":"verify")"));
    EXPECT_FALSE(allowed(R"(,"alg":"ECDH-ES")"));
    EXPECT_FALSE(allowed(R"(,"alg":5)"));
}

TEST(a_key_set, refuses_what_is_weak_or_broken) {
    const auto refused = [](const std::string& jwk) { return !parse_keys(jwk, secrets::taken).has_value(); };
    EXPECT_TRUE(refused(test_key::rsa(1024).jwk("weak")));
    EXPECT_TRUE(refused(replaced(rsa().jwk("r"), R"("e":"AQAB")", R"("e":"AQ")"))) << "anybody could sign";
    EXPECT_TRUE(refused(replaced(rsa().jwk("r"), R"("e":"AQAB")", R"("e":"Ag")")));
    EXPECT_TRUE(refused(replaced(curve().jwk("c"), R"("x":")", R"("x":"A)"))) << "not a point";
    EXPECT_TRUE(refused(replaced(curve().jwk("c"), "P-256", "P-384")));
    EXPECT_TRUE(refused(replaced(curve().jwk("c"), "P-256", "secp256k1")));
    EXPECT_TRUE(refused(curve().jwk("c", R"(,"kty":"oct")"))) << "a member twice";
    EXPECT_TRUE(refused(secret_jwk(31)));
    EXPECT_TRUE(refused(test_key::ed25519().public_pem()));
    // A point beside its curve: the last letter of y.
    std::string off = curve().jwk("");
    const std::size_t y = off.rfind("\"y\":\"") + 5;
    off[y + 3] = off[y + 3] == 'A' ? 'B' : 'A';
    EXPECT_TRUE(refused(off));
}

TEST(a_key_set, that_is_none_is_told) {
    const auto why = [](const std::string& text) { return parse_keys(text, secrets::refused).error(); };
    EXPECT_EQ(why(""), "this is not a JSON object");
    EXPECT_EQ(why("<html>"), "this is not a JSON object");
    EXPECT_EQ(why("[]"), "this is not a JSON object");
    EXPECT_EQ(why("{}"), "this is not a JWK Set");
    EXPECT_EQ(why(R"({"keys":{}})"), "this is not a JWK Set");
    EXPECT_EQ(why(R"({"keys":[]})"), "there is no key in it that Foz can use");
    EXPECT_EQ(why(R"({"keys":[],"keys":[]})"), "this JSON has a member twice");
    EXPECT_EQ(why(key_set_of({secret_jwk(64)})), "there is no key in it that Foz can use");
    EXPECT_EQ(why("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
              "no PEM key that can be read without a passphrase");
    EXPECT_EQ(why(std::string(key_set_octets_max + 1, ' ')), "this is larger than 262144 octets");
    std::string many;
    for (std::size_t i = 0; i <= keys_max; ++i) many += (i == 0 ? "" : ",") + curve().jwk("c");
    EXPECT_EQ(why(R"({"keys":[)" + many + "]}"), "this JWK Set has more than 64 keys");
}

TEST(a_secret, is_as_long_as_its_hash) {
    EXPECT_EQ(keys_of_secret(std::string(31, 's')).error(), "a secret has at least 32 octets (RFC 7518 §3.2)");
    const auto allowed = [](std::size_t octets, algorithm one) {
        return keys_of_secret(std::string(octets, 's')).value().keys.front().allowed.contains(one);
    };
    EXPECT_TRUE(allowed(32, algorithm::hs256));
    EXPECT_FALSE(allowed(47, algorithm::hs384));
    EXPECT_TRUE(allowed(48, algorithm::hs384));
    EXPECT_FALSE(allowed(63, algorithm::hs512));
    EXPECT_TRUE(allowed(64, algorithm::hs512));
    EXPECT_FALSE(allowed(64, algorithm::rs256));
}

TEST(a_token, without_a_key_id_is_tried_with_a_few_keys_only) {
    scratch files;
    const fixed_clock time;
    std::string all;
    test_key last = test_key::ec("P-256");
    for (std::size_t i = 0; i < signatures_max; ++i) all += test_key::ec("P-256").jwk("k" + std::to_string(i)) + ",";
    const auto with = [&](const std::string& keys) {
        const verifier verify(
            {{.name = "a", .issuer = "i", .keys_file = files.file("k", R"({"keys":[)" + keys + "]}")}}, {}, time);
        const auto became =
            verify.verify(token_of(last, "ES256", R"({"alg":"ES256"})", R"({"iss":"i","sub":"a","exp":1800000600})"));
        return became ? std::string("good") : std::string(code_of(became.error()));
    };
    EXPECT_EQ(with(last.jwk("x")), "good");
    EXPECT_EQ(with(all + last.jwk("x")), "bad_signature");
    EXPECT_EQ(with(rsa().jwk("r")), "no_fitting_key");
}

}  // namespace
}  // namespace foz::identity
