// Goal: every forged or broken token is refused, each with the code of what is wrong with it.
#include "base/encoding.hpp"
#include "identity/tests/signer.hpp"
#include "identity/token_text.hpp"
#include "identity/verifier.hpp"

#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/err.h>

namespace foz::identity {
namespace {

const std::string shared_secret = "a secret of thirty-two octets!!!";

// Everything is made once: RSA keys take their time.
struct world {
    test_key r1 = test_key::rsa();
    test_key r2 = test_key::rsa();  // published for encryption
    test_key e1 = test_key::ec("P-256");
    test_key e2 = test_key::ec("P-384");
    test_key signs_only = test_key::ec("P-256");  // key_ops without verify
    test_key ps_only = test_key::rsa();           // alg PS256
    test_key stranger = test_key::rsa();
    test_key strange_ec = test_key::ec("P-256");
    scratch files;
    fixed_clock time;
    std::string keys = files.file("keys.json", key_set_of({r1.jwk("r1"), r2.jwk("r2", R"(,"use":"enc")"), e1.jwk("e1"),
                                                           e2.jwk("e2"), signs_only.jwk("s1", R"(,"key_ops":["sign"])"),
                                                           ps_only.jwk("p1", R"(,"alg":"PS256")")}));
    verifier verify{
        {{.name = "dev", .issuer = "https://dev.example", .secret_file = files.file("secret", shared_secret + "\n")},
         {.name = "idp",
          .issuer = "https://idp.example",
          .keys_file = keys,
          .algorithms = {"RS256", "PS256", "ES256", "ES384"},
          .audience = {"foz"}},
         {.name = "rs", .issuer = "https://rs.example", .keys_file = keys, .algorithms = {"RS256"}}},
        {},
        time};
};

world& w() {
    static world one;
    return one;
}

const std::string usual_header = R"({"alg":"HS256"})";
const std::string exp = R"("exp":1800000600)";

// Claims of dev with these in place of the usual ones.
std::string claims(const std::string& rest) {
    return R"({"iss":"https://dev.example",)" + rest + "}";
}
const std::string good_claims = claims(R"("sub":"alice",)" + exp);

// Signed rightly: what is wrong is the header or the claims.
std::string with_header(const std::string& header) {
    return token_of(shared_secret, header, good_claims);
}
std::string with_claims(const std::string& rest) {
    return token_of(shared_secret, usual_header, claims(rest));
}
// As from the provider, for foz.
std::string idp_claims(const std::string& more = "") {
    return R"({"iss":"https://idp.example","aud":"foz","sub":"alice",)" + exp + more + "}";
}
std::string by_idp(const test_key& key, const std::string& algorithm, const std::string& header) {
    return token_of(key, algorithm, header, idp_claims());
}
std::string foz_claim(const std::string& name, const std::string& value) {
    return with_claims(R"("sub":"alice",)" + exp + R"(,"foz":{")" + name + "\":" + value + "}");
}
std::string repeated(const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
}

struct forged {
    const char* name;
    std::function<std::string()> token;
    refusal why;
};

void PrintTo(const forged& one, std::ostream* out) {
    *out << one.name;
}

class forged_token : public testing::TestWithParam<forged> {};

TEST_P(forged_token, is_refused_with_its_code) {
    const auto became = w().verify.verify(GetParam().token());
    ASSERT_FALSE(became.has_value());
    EXPECT_EQ(code_of(became.error()), code_of(GetParam().why));
    EXPECT_EQ(ERR_peek_error(), 0u) << "something is left for the thread's TLS streams";
}

const forged texts[] = {
    {"nothing", [] { return std::string(); }, refusal::not_a_token},
    {"one part", [] { return std::string("abc"); }, refusal::not_a_token},
    {"two parts", [] { return signing_input(usual_header, good_claims); }, refusal::not_a_token},
    {"four parts", [] { return with_header(usual_header) + ".abc"; }, refusal::not_a_token},
    {"six parts", [] { return std::string("a.b.c.d.e.f"); }, refusal::not_a_token},
    {"encrypted", [] { return std::string("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn"); }, refusal::encrypted},
    {"too large", [] { return with_claims(R"("x":")" + std::string(16 * 1024, 'x') + '"'); }, refusal::too_large},
    {"a megabyte of dots", [] { return std::string(1 << 20, '.'); }, refusal::too_large},
    {"padding", [] { return with_header(usual_header) + "="; }, refusal::bad_encoding},
    {"a space behind it", [] { return with_header(usual_header) + " "; }, refusal::bad_encoding},
    {"a line end inside", [] { return with_header(usual_header).insert(5, "\n"); }, refusal::bad_encoding},
    {"the alphabet of plain base64", [] { return std::string("e+/A.e30.AAAA"); }, refusal::bad_encoding},
    {"a part of impossible length", [] { return std::string("A.e30.AAAA"); }, refusal::bad_encoding},
    {"stray bits in the signature",
     [] {
         std::string token = with_header(usual_header);  // 43 letters for 32 octets: the last has two bits to spare
         const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
         token.back() = alphabet[alphabet.find(token.back()) + 1];
         return token;
     },
     refusal::bad_encoding},
    {"an octet of zero", [] { return with_header(usual_header) + std::string(1, '\0'); }, refusal::bad_encoding},
};
INSTANTIATE_TEST_SUITE_P(texts, forged_token, testing::ValuesIn(texts));

const forged headers[] = {
    {"an empty header", [] { return ".e30.AAAA"; }, refusal::bad_header},
    {"a header that isn't JSON", [] { return with_header("{alg:HS256}"); }, refusal::bad_header},
    {"a header that is a list", [] { return with_header(R"(["HS256"])"); }, refusal::bad_header},
    {"a header that isn't UTF-8", [] { return with_header("{\"alg\":\"HS256\",\"x\":\"\xff\"}"); },
     refusal::bad_header},
    {"something behind the header", [] { return with_header(usual_header + "{}"); }, refusal::bad_header},
    {"a header that is nested too deep",
     [] { return with_header(R"({"alg":"HS256","x":)" + std::string(40, '[') + std::string(40, ']') + "}"); },
     refusal::bad_header},
    {"two algorithms", [] { return with_header(R"({"alg":"HS256","alg":"none"})"); }, refusal::duplicate_header_member},
    {"two algorithms, one escaped", [] { return with_header(R"({"alg":"HS256","\u0061lg":"none"})"); },
     refusal::duplicate_header_member},
    {"a member twice, further in", [] { return with_header(R"({"alg":"HS256","x":[{"a":1,"a":1}]})"); },
     refusal::duplicate_header_member},
    {"crit", [] { return with_header(R"({"alg":"HS256","crit":["exp"],"exp":1})"); }, refusal::critical_header},
    {"crit, empty", [] { return with_header(R"({"alg":"HS256","crit":[]})"); }, refusal::critical_header},
    {"an unencoded payload", [] { return with_header(R"({"alg":"HS256","b64":false,"crit":["b64"]})"); },
     refusal::critical_header},
    {"a token in a token", [] { return with_header(R"({"alg":"HS256","cty":"JWT"})"); }, refusal::nested},
    {"the same in small letters", [] { return with_header(R"({"alg":"HS256","cty":"application/jwt"})"); },
     refusal::nested},
    {"cty that is a number", [] { return with_header(R"({"alg":"HS256","cty":1})"); }, refusal::bad_header},
    {"a logout token", [] { return with_header(R"({"alg":"HS256","typ":"logout+jwt"})"); }, refusal::wrong_type},
    {"a proof of possession", [] { return with_header(R"({"alg":"HS256","typ":"dpop+jwt"})"); }, refusal::wrong_type},
    {"typ that is null", [] { return with_header(R"({"alg":"HS256","typ":null})"); }, refusal::bad_header},
    {"no algorithm", [] { return with_header(R"({"typ":"JWT"})"); }, refusal::missing_algorithm},
    {"alg none, no signature", [] { return signing_input(R"({"alg":"none"})", good_claims) + "."; },
     refusal::unsigned_token},
    {"alg nOnE", [] { return signing_input(R"({"alg":"nOnE"})", good_claims) + "."; }, refusal::unsigned_token},
    {"alg none with a signature", [] { return with_header(R"({"alg":"none"})"); }, refusal::unsigned_token},
    {"alg that is a number", [] { return with_header(R"({"alg":256})"); }, refusal::bad_header},
    {"alg that is empty", [] { return with_header(R"({"alg":""})"); }, refusal::unknown_algorithm},
    {"alg in small letters", [] { return with_header(R"({"alg":"hs256"})"); }, refusal::unknown_algorithm},
    {"alg with a space", [] { return with_header(R"({"alg":"HS256 "})"); }, refusal::unknown_algorithm},
    {"EdDSA", [] { return with_header(R"({"alg":"EdDSA"})"); }, refusal::unknown_algorithm},
    {"an algorithm of encryption", [] { return with_header(R"({"alg":"RSA-OAEP"})"); }, refusal::unknown_algorithm},
    {"kid that is a number", [] { return with_header(R"({"alg":"HS256","kid":1})"); }, refusal::bad_header},
    {"kid with a line end", [] { return with_header(R"({"alg":"HS256","kid":"a\nb"})"); }, refusal::bad_header},
    {"kid of 257 octets", [] { return with_header(R"({"alg":"HS256","kid":")" + std::string(257, 'k') + "\"}"); },
     refusal::bad_header},
};
INSTANTIATE_TEST_SUITE_P(headers, forged_token, testing::ValuesIn(headers));

const forged signatures[] = {
    {"another secret", [] { return token_of(std::string(32, 'x'), usual_header, good_claims); },
     refusal::bad_signature},
    {"the secret with its line end", [] { return token_of(shared_secret + "\n", usual_header, good_claims); },
     refusal::bad_signature},
    {"no signature", [] { return signing_input(usual_header, good_claims) + "."; }, refusal::bad_signature},
    {"half a signature", [] { return with_header(usual_header).substr(0, with_header(usual_header).size() - 23); },
     refusal::bad_signature},
    {"other claims under the signature",
     [] {
         const std::string token = with_header(usual_header);
         return signing_input(usual_header, claims(R"("sub":"bob",)" + exp)) + token.substr(token.rfind('.'));
     },
     refusal::bad_signature},
    {"HS512 where HS256 is allowed", [] { return token_of(shared_secret, R"({"alg":"HS512"})", good_claims, "HS512"); },
     refusal::algorithm_not_allowed},
    {"the public key as an HMAC secret, PEM",
     [] { return token_of(w().r1.public_pem(), R"({"alg":"HS256","kid":"r1"})", idp_claims()); },
     refusal::algorithm_not_allowed},
    {"the public key as an HMAC secret, JWK",
     [] { return token_of(w().r1.jwk("r1"), R"({"alg":"HS256","kid":"r1"})", idp_claims()); },
     refusal::algorithm_not_allowed},
    {"RS256 where a secret is", [] { return token_of(w().stranger, "RS256", R"({"alg":"RS256"})", good_claims); },
     refusal::algorithm_not_allowed},
    {"PS256 where RS256 alone is allowed",
     [] {
         return token_of(w().r1, "PS256", R"({"alg":"PS256","kid":"r1"})",
                         R"({"iss":"https://rs.example","sub":"a",)" + exp + "}");
     },
     refusal::algorithm_not_allowed},
    {"a stranger's key under a known id", [] { return by_idp(w().stranger, "RS256", R"({"alg":"RS256","kid":"r1"})"); },
     refusal::bad_signature},
    {"a stranger's key without an id", [] { return by_idp(w().stranger, "RS256", R"({"alg":"RS256"})"); },
     refusal::bad_signature},
    {"a stranger's curve key without an id", [] { return by_idp(w().strange_ec, "ES256", R"({"alg":"ES256"})"); },
     refusal::bad_signature},
    {"an unknown id", [] { return by_idp(w().r1, "RS256", R"({"alg":"RS256","kid":"r9"})"); }, refusal::unknown_key},
    {"an id that begins like a known one", [] { return by_idp(w().r1, "RS256", R"({"alg":"RS256","kid":"r"})"); },
     refusal::unknown_key},
    {"an empty id", [] { return by_idp(w().r1, "RS256", R"({"alg":"RS256","kid":""})"); }, refusal::bad_header},
    {"an id that is a path", [] { return by_idp(w().r1, "RS256", R"({"alg":"RS256","kid":"../../dev/null"})"); },
     refusal::unknown_key},
    {"its own key in the header (jwk)",
     [] { return by_idp(w().stranger, "RS256", R"({"alg":"RS256","jwk":)" + w().stranger.jwk("") + "}"); },
     refusal::bad_signature},
    {"an address of keys in the header (jku)",
     [] { return by_idp(w().stranger, "RS256", R"({"alg":"RS256","kid":"x","jku":"http://127.0.0.1/"})"); },
     refusal::unknown_key},
    {"RS256 with the id of a curve's key", [] { return by_idp(w().r1, "RS256", R"({"alg":"RS256","kid":"e1"})"); },
     refusal::key_mismatch},
    {"ES256 with the id of a P-384 key", [] { return by_idp(w().e2, "ES256", R"({"alg":"ES256","kid":"e2"})"); },
     refusal::key_mismatch},
    {"ES384 with the id of a P-256 key", [] { return by_idp(w().e1, "ES384", R"({"alg":"ES384","kid":"e1"})"); },
     refusal::key_mismatch},
    {"a key for encryption", [] { return by_idp(w().r2, "RS256", R"({"alg":"RS256","kid":"r2"})"); },
     refusal::key_mismatch},
    {"a key that does not verify", [] { return by_idp(w().signs_only, "ES256", R"({"alg":"ES256","kid":"s1"})"); },
     refusal::key_mismatch},
    {"a key of another algorithm", [] { return by_idp(w().ps_only, "RS256", R"({"alg":"RS256","kid":"p1"})"); },
     refusal::key_mismatch},
    {"an RS signature said to be PS", [] { return by_idp(w().r1, "RS256", R"({"alg":"PS256","kid":"r1"})"); },
     refusal::bad_signature},
    {"a curve's signature of zeros (CVE-2022-21449)",
     [] {
         return signing_input(R"({"alg":"ES256","kid":"e1"})", idp_claims()) + "." + base64url(std::string(64, '\0'));
     },
     refusal::bad_signature},
    {"a curve's signature in DER",
     [] {
         return signing_input(R"({"alg":"ES256","kid":"e1"})", idp_claims()) + "." +
                base64url("\x30\x06\x02\x01\x01\x02\x01\x01");
     },
     refusal::bad_signature},
    {"a curve's signature with zeros in front of both halves",
     [] {
         const std::string input = signing_input(R"({"alg":"ES256","kid":"e1"})", idp_claims());
         const std::string both = w().e1.sign("ES256", input);
         return input + "." + base64url('\0' + both.substr(0, 32) + '\0' + both.substr(32));
     },
     refusal::bad_signature},
    {"an RSA signature with a zero in front",
     [] {
         const std::string input = signing_input(R"({"alg":"RS256","kid":"r1"})", idp_claims());
         return input + "." + base64url('\0' + w().r1.sign("RS256", input));
     },
     refusal::bad_signature},
    {"an issuer's key for another issuer",
     [] { return token_of(w().r1, "RS256", R"({"alg":"RS256","kid":"r1"})", good_claims); },
     refusal::algorithm_not_allowed},
};
INSTANTIATE_TEST_SUITE_P(signatures, forged_token, testing::ValuesIn(signatures));

const forged registered[] = {
    {"claims that aren't JSON", [] { return token_of(shared_secret, usual_header, "sub=alice"); }, refusal::bad_claims},
    {"claims that are a string", [] { return token_of(shared_secret, usual_header, R"("alice")"); },
     refusal::bad_claims},
    {"no claims at all", [] { return token_of(shared_secret, usual_header, ""); }, refusal::bad_claims},
    {"claims with half a surrogate", [] { return with_claims(R"("sub":"\ud800",)" + exp); }, refusal::bad_claims},
    {"claims that aren't UTF-8", [] { return with_claims("\"sub\":\"\xc3\x28\"," + exp); }, refusal::bad_claims},
    {"a number that nobody can read", [] { return with_claims(R"("sub":"a","exp":1e999)"); }, refusal::bad_claims},
    {"two subjects", [] { return with_claims(R"("sub":"alice","sub":"bob",)" + exp); }, refusal::duplicate_claim},
    {"two issuers", [] { return with_claims(R"("iss":"https://idp.example","sub":"alice",)" + exp); },
     refusal::duplicate_claim},
    {"two grants", [] { return foz_claim("channels", R"({"a":{},"a":{"consume":true}})"); }, refusal::duplicate_claim},
    {"no issuer", [] { return token_of(shared_secret, usual_header, R"({"sub":"alice",)" + exp + "}"); },
     refusal::missing_issuer},
    {"an issuer that is a list",
     [] {
         return token_of(shared_secret, usual_header, R"({"iss":["https://dev.example"],"sub":"alice",)" + exp + "}");
     },
     refusal::missing_issuer},
    {"an unknown issuer",
     [] {
         return token_of(shared_secret, usual_header, R"({"iss":"https://evil.example","sub":"alice",)" + exp + "}");
     },
     refusal::unknown_issuer},
    {"an issuer with a slash more",
     [] {
         return token_of(shared_secret, usual_header, R"({"iss":"https://dev.example/","sub":"alice",)" + exp + "}");
     },
     refusal::unknown_issuer},
    {"no expiry", [] { return with_claims(R"("sub":"alice")"); }, refusal::missing_expiry},
    {"an expiry that is text", [] { return with_claims(R"("sub":"alice","exp":"1800000600")"); }, refusal::bad_time},
    {"an expiry that is null", [] { return with_claims(R"("sub":"alice","exp":null)"); }, refusal::bad_time},
    {"a negative expiry", [] { return with_claims(R"("sub":"alice","exp":-1)"); }, refusal::bad_time},
    {"an expiry in ms", [] { return with_claims(R"("sub":"alice","exp":1800000600000)"); }, refusal::bad_time},
    {"expired", [] { return with_claims(R"("sub":"alice","exp":1799999970)"); }, refusal::expired},
    {"expired long ago", [] { return with_claims(R"("sub":"alice","exp":0)"); }, refusal::expired},
    {"lives for two days", [] { return with_claims(R"("sub":"alice","exp":1800172800)"); }, refusal::expires_too_late},
    {"not yet valid", [] { return with_claims(R"("sub":"alice","nbf":1800000031,)" + exp); }, refusal::not_yet_valid},
    {"nbf that is true", [] { return with_claims(R"("sub":"alice","nbf":true,)" + exp); }, refusal::bad_time},
    {"issued in the future", [] { return with_claims(R"("sub":"alice","iat":1800000031,)" + exp); },
     refusal::issued_in_future},
    {"iat that is a list", [] { return with_claims(R"("sub":"alice","iat":[1],)" + exp); }, refusal::bad_time},
    {"no audience",
     [] {
         return token_of(w().r1, "RS256", R"({"alg":"RS256","kid":"r1"})",
                         R"({"iss":"https://idp.example","sub":"alice",)" + exp + "}");
     },
     refusal::missing_audience},
    {"another audience",
     [] {
         return token_of(w().r1, "RS256", R"({"alg":"RS256","kid":"r1"})",
                         R"({"iss":"https://idp.example","aud":"other","sub":"alice",)" + exp + "}");
     },
     refusal::wrong_audience},
    {"other audiences",
     [] {
         return token_of(w().r1, "RS256", R"({"alg":"RS256","kid":"r1"})",
                         R"({"iss":"https://idp.example","aud":["other","fo"],"sub":"alice",)" + exp + "}");
     },
     refusal::wrong_audience},
    {"an empty list of audiences",
     [] {
         return token_of(w().r1, "RS256", R"({"alg":"RS256","kid":"r1"})",
                         R"({"iss":"https://idp.example","aud":[],"sub":"alice",)" + exp + "}");
     },
     refusal::wrong_audience},
    {"an audience that is an object", [] { return with_claims(R"("sub":"alice","aud":{"foz":true},)" + exp); },
     refusal::bad_audience},
    {"an audience with a number in it", [] { return with_claims(R"("sub":"alice","aud":["foz",5],)" + exp); },
     refusal::bad_audience},
    {"no subject", [] { return with_claims(exp); }, refusal::missing_subject},
    {"a subject that is a number", [] { return with_claims(R"("sub":7,)" + exp); }, refusal::bad_subject},
    {"an empty subject", [] { return with_claims(R"("sub":"",)" + exp); }, refusal::bad_subject},
    {"a subject of 129 octets", [] { return with_claims(R"("sub":")" + std::string(129, 's') + "\"," + exp); },
     refusal::bad_subject},
    {"a subject with a line end", [] { return with_claims(R"("sub":"a\nb",)" + exp); }, refusal::bad_subject},
    {"a subject with a zero", [] { return with_claims(R"("sub":"a\u0000b",)" + exp); }, refusal::bad_subject},
    {"a subject with DEL", [] { return with_claims(R"("sub":"a\u007fb",)" + exp); }, refusal::bad_subject},
    {"a subject with CSI", [] { return with_claims(R"("sub":"a\u009b31mb",)" + exp); }, refusal::bad_subject},
    {"a subject like an anonymous client's", [] { return with_claims(R"("sub":"anon-abc",)" + exp); },
     refusal::reserved_subject},
    {"a subject like a session's", [] { return with_claims(R"("sub":"session:abc",)" + exp); },
     refusal::reserved_subject},
    {"a token id that is a number", [] { return with_claims(R"("sub":"alice","jti":5,)" + exp); },
     refusal::bad_token_id},
    {"a token id of 256 octets",
     [] { return with_claims(R"("sub":"alice","jti":")" + std::string(256, 'j') + "\"," + exp); },
     refusal::bad_token_id},
};
INSTANTIATE_TEST_SUITE_P(registered, forged_token, testing::ValuesIn(registered));

const forged of_foz[] = {
    {"channels that are a list", [] { return foz_claim("channels", R"(["chat"])"); }, refusal::bad_channels},
    {"a grant that is true", [] { return foz_claim("channels", R"({"chat":true})"); }, refusal::bad_channels},
    {"a grant of something unknown", [] { return foz_claim("channels", R"({"chat":{"consum":true}})"); },
     refusal::bad_channels},
    {"a permission that is a number", [] { return foz_claim("channels", R"({"chat":{"consume":1}})"); },
     refusal::bad_channels},
    {"a permission that is a text", [] { return foz_claim("channels", R"({"chat":{"consume":"#"}})"); },
     refusal::bad_channels},
    {"a pattern that can't match", [] { return foz_claim("channels", R"({"chat":{"consume":["a*"]}})"); },
     refusal::bad_channels},
    {"an empty pattern", [] { return foz_claim("channels", R"({"chat":{"publish":[""]}})"); }, refusal::bad_channels},
    {"a pattern that is a number", [] { return foz_claim("channels", R"({"chat":{"publish":[5]}})"); },
     refusal::bad_channels},
    {"too many patterns",
     [] { return foz_claim("channels", R"({"chat":{"consume":["a")" + repeated(",\"a\"", 64) + "]}}"); },
     refusal::bad_channels},
    {"a channel without a name", [] { return foz_claim("channels", R"({"":{}})"); }, refusal::bad_channels},
    {"groups that are a text", [] { return foz_claim("groups", R"("admins")"); }, refusal::bad_groups},
    {"groups that are null", [] { return foz_claim("groups", "null"); }, refusal::bad_groups},
    {"a group that is a number", [] { return foz_claim("groups", "[1]"); }, refusal::bad_groups},
    {"a group without a name", [] { return foz_claim("groups", R"([""])"); }, refusal::bad_groups},
    {"a group with a control character", [] { return foz_claim("groups", R"(["a\tb"])"); }, refusal::bad_groups},
    {"too many groups", [] { return foz_claim("groups", R"(["a")" + repeated(",\"a\"", 256) + "]"); },
     refusal::bad_groups},
    {"limits that are a list", [] { return foz_claim("limits", "[5]"); }, refusal::bad_limits},
    {"a limit that is a text", [] { return foz_claim("limits", R"({"rate":"5"})"); }, refusal::bad_limits},
    {"a negative limit", [] { return foz_claim("limits", R"({"rate":-5})"); }, refusal::bad_limits},
    {"a limit with a fraction", [] { return foz_claim("limits", R"({"rate":1.5})"); }, refusal::bad_limits},
    {"too much meta", [] { return foz_claim("meta", "\"" + std::string(4096, 'm') + "\""); }, refusal::meta_too_large},
};
INSTANTIATE_TEST_SUITE_P(of_foz, forged_token, testing::ValuesIn(of_foz));

TEST(forged_tokens, are_many_and_cover_the_refusals) {
    std::set<refusal> seen;
    std::size_t rows = 0;
    const auto count = [&](const auto& table) {
        for (const forged& one : table) {
            seen.insert(one.why);
            ++rows;
        }
    };
    count(texts), count(headers), count(signatures), count(registered), count(of_foz);
    EXPECT_GE(rows, 120u);
    // keys_unavailable and no_fitting_key need issuers of their own (rotation_test.cpp, keys_test.cpp).
    EXPECT_EQ(seen.size(), refusals - 2);
}

TEST(a_good_token, with_one_letter_changed_is_refused_wherever_it_is) {
    const std::string token = with_header(usual_header);
    ASSERT_TRUE(w().verify.verify(token));
    for (std::size_t i = 0; i < token.size(); ++i) {
        std::string other = token;
        other[i] = other[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(w().verify.verify(other)) << i;
    }
}

TEST(a_good_token, cut_short_anywhere_is_refused) {
    const std::string token = with_header(usual_header);
    for (std::size_t size = 0; size < token.size(); ++size) EXPECT_FALSE(w().verify.verify(token.substr(0, size)));
}

TEST(refusals, have_a_code_and_a_sentence_of_their_own) {
    std::set<std::string_view> codes, sentences;
    for (std::size_t i = 0; i < refusals; ++i) {
        codes.insert(code_of(static_cast<refusal>(i)));
        sentences.insert(sentence_of(static_cast<refusal>(i)));
    }
    EXPECT_EQ(codes.size(), refusals);
    EXPECT_EQ(sentences.size(), refusals);
}

}  // namespace
}  // namespace foz::identity
