// Goal: every algorithm is verified as OpenSSL signs it, with and without a key's id; several threads may verify at
// once.
#include "identity/algorithm.hpp"
#include "identity/make_token.hpp"
#include "identity/tests/signer.hpp"
#include "identity/verifier.hpp"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace foz::identity {
namespace {

const std::string long_secret(64, 's');
const std::string some_claims = R"({"iss":"https://a.example","sub":"alice","exp":1800000600})";

// One issuer for secrets, one for public keys of all kinds.
struct all_algorithms {
    test_key rsa = test_key::rsa();
    test_key p256 = test_key::ec("P-256");
    test_key p384 = test_key::ec("P-384");
    test_key p521 = test_key::ec("P-521");
    scratch files;
    fixed_clock time;

    const test_key& key_for(algorithm one) const {
        switch (key_type_for(one)) {
            case key_type::p256:
                return p256;
            case key_type::p384:
                return p384;
            case key_type::p521:
                return p521;
            default:
                return rsa;
        }
    }
    std::string token(algorithm one, const std::string& id) const {
        const std::string name(name_of(one));
        const std::string header = R"({"alg":")" + name + "\"" + (id.empty() ? "" : R"(,"kid":")" + id + "\"") + "}";
        return is_symmetric(one) ? token_of(long_secret, header, some_claims, name)
                                 : token_of(key_for(one), name, header, some_claims);
    }
    verifier of(algorithm one) const {
        issuer_settings settings{.name = "a", .issuer = "https://a.example", .algorithms = {std::string(name_of(one))}};
        if (is_symmetric(one))
            settings.secret_file = files.file("secret", long_secret);
        else
            settings.keys_file = files.file(
                "keys.json", key_set_of({rsa.jwk("rsa"), p256.jwk("p256"), p384.jwk("p384"), p521.jwk("p521")}));
        return verifier({settings}, {}, time);
    }
};

const all_algorithms& all_keys() {
    static const all_algorithms one;
    return one;
}

class each_algorithm : public testing::TestWithParam<unsigned> {
protected:
    algorithm how() const { return static_cast<algorithm>(GetParam()); }
};

TEST_P(each_algorithm, is_verified_with_and_without_a_key_id) {
    constexpr const char* ids[] = {"any", "rsa", "p256", "p384", "p521"};
    const verifier verify = all_keys().of(how());
    for (const std::string& id : {std::string(), std::string(ids[static_cast<unsigned>(key_type_for(how()))])}) {
        const auto became = verify.verify(all_keys().token(how(), id));
        ASSERT_TRUE(became) << name_of(how()) << ": " << code_of(became.error());
        EXPECT_EQ(became->subject, "alice");
    }
}

TEST_P(each_algorithm, is_the_only_one_that_is_taken_when_it_alone_is_configured) {
    const verifier verify = all_keys().of(how());
    for (unsigned i = 0; i < algorithms; ++i) {
        const auto other = static_cast<algorithm>(i);
        if (other == how()) continue;
        EXPECT_EQ(verify.verify(all_keys().token(other, "")).error(), refusal::algorithm_not_allowed);
    }
}

TEST_P(each_algorithm, is_signed_by_make_token_and_verified) {
    const auto signs = all_keys().key_for(how());
    token_request what{.algorithm = std::string(name_of(how())),
                       .subject = "bob",
                       .issuer = "https://a.example",
                       .expires = std::chrono::sys_seconds(std::chrono::seconds(test_now_s + 60))};
    (is_symmetric(how()) ? what.secret : what.key) = is_symmetric(how()) ? long_secret : signs.private_pem();
    const auto token = make_token(what);
    ASSERT_TRUE(token) << token.error();
    const auto became = all_keys().of(how()).verify(*token);
    ASSERT_TRUE(became) << code_of(became.error());
    EXPECT_EQ(became->subject, "bob");
}

INSTANTIATE_TEST_SUITE_P(all, each_algorithm, testing::Range(0u, unsigned(algorithms)),
                         [](const auto& one) { return std::string(name_of(static_cast<algorithm>(one.param))); });

TEST(a_verifier, is_used_by_several_threads_at_once) {
    const verifier verify = all_keys().of(algorithm::es256);
    const std::string good = all_keys().token(algorithm::es256, "p256");
    std::string bad = good;
    bad[good.rfind('.') + 5] = bad[good.rfind('.') + 5] == 'A' ? 'B' : 'A';
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) wrong += !verify.verify(good) + verify.verify(bad).has_value();
        });
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace foz::identity
