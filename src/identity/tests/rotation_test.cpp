// Goal: keys are fetched beside those who verify, changed while it runs, kept when a fetch fails, and never fetched
// more often than the pause allows.
#include "identity/tests/http_server.hpp"
#include "identity/tests/signer.hpp"
#include "identity/verifier.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::identity {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const test_key& old_key() {
    static const test_key one = test_key::ec("P-256");
    return one;
}
const test_key& new_key() {
    static const test_key one = test_key::ec("P-256");
    return one;
}

std::string token_by(const test_key& key, const std::string& id) {
    return token_of(key, "ES256", R"({"alg":"ES256")" + (id.empty() ? "" : R"(,"kid":")" + id + "\"") + "}",
                    R"({"iss":"i","sub":"a","exp":1800000600})");
}

// What the provider answers can be changed at any time.
class provider {
public:
    explicit provider(std::string answer)
        : answer_(std::move(answer)), server_([this](const std::string&) {
              const std::lock_guard lock(mutex_);
              return answer_;
          }) {}
    void answers(std::string text) {
        const std::lock_guard lock(mutex_);
        answer_ = std::move(text);
    }
    std::string url() const { return server_.url(); }
    int requests() const { return server_.requests(); }

private:
    std::mutex mutex_;
    std::string answer_;
    http_server server_;
};

std::string both() {
    return http_server::ok(key_set_of({old_key().jwk("old"), new_key().jwk("new")}));
}
std::string old_alone() {
    return http_server::ok(key_set_of({old_key().jwk("old")}));
}

issuer_settings from_url(const std::string& url, std::chrono::milliseconds pause = 20ms) {
    return {.name = "a",
            .issuer = "i",
            .keys_url = url,
            .refresh_interval = 1h,
            .refresh_pause = pause,
            .fetch_timeout = 2s};
}

const fixed_clock test_time;

std::string became(const verifier& by, const std::string& token) {
    const auto result = by.verify(token);
    return result ? "good" : std::string(code_of(result.error()));
}

TEST(keys, are_fetched_in_the_background) {
    provider idp(old_alone());
    std::atomic<int> told = 0;
    const verifier verify({from_url(idp.url())}, [&] { ++told; }, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    EXPECT_EQ(became(verify, token_by(old_key(), "old")), "good");
    EXPECT_EQ(verify.generation(), 1u);
    EXPECT_EQ(verify.states().front().keys, 1u);
    EXPECT_EQ(verify.states().front().fetches, 1u);
    EXPECT_LE(told, 1);
}

TEST(keys, that_are_not_there_yet_are_told_and_nobody_waits) {
    provider idp("");  // says nothing
    const verifier verify({from_url(idp.url())}, {}, test_time);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(became(verify, token_by(old_key(), "old")), "keys_unavailable");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
    EXPECT_TRUE(may_pass(refusal::keys_unavailable));
}  // and the destructor does not wait for the time-out either

TEST(keys, of_a_provider_that_comes_late_are_fetched_soon) {
    provider idp("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    const verifier verify({from_url(idp.url())}, {}, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    EXPECT_EQ(became(verify, token_by(old_key(), "old")), "keys_unavailable");
    EXPECT_EQ(verify.states().front().last_failure, "keys_url: the answer's status is 503");
    idp.answers(old_alone());
    for (int i = 0; i < 100 && verify.states().front().keys == 0; ++i) verify.wait(verify.generation(), 100ms);
    EXPECT_EQ(became(verify, token_by(old_key(), "old")), "good");
    EXPECT_EQ(verify.states().front().last_failure, "");
}

TEST(a_token_with_a_new_key, is_good_as_soon_as_the_key_was_fetched) {
    provider idp(old_alone());
    const verifier verify({from_url(idp.url())}, {}, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    idp.answers(both());
    const std::uint64_t seen = verify.generation();
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "unknown_key");
    EXPECT_TRUE(may_pass(refusal::unknown_key));
    ASSERT_TRUE(verify.wait(seen, 5s));
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "good");
    EXPECT_EQ(became(verify, token_by(old_key(), "old")), "good");
}

TEST(a_key_that_was_withdrawn, is_refused_after_a_fetch) {
    provider idp(both());
    const verifier verify({from_url(idp.url())}, {}, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "good");
    idp.answers(old_alone());
    const std::uint64_t seen = verify.generation();
    EXPECT_EQ(became(verify, token_by(new_key(), "another")), "unknown_key");  // asks
    ASSERT_TRUE(verify.wait(seen, 5s));
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "unknown_key");
}

TEST(a_token_without_a_key_id, signed_with_a_new_key_makes_it_fetched_too) {
    provider idp(old_alone());
    const verifier verify({from_url(idp.url())}, {}, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    idp.answers(both());
    const std::uint64_t seen = verify.generation();
    EXPECT_EQ(became(verify, token_by(new_key(), "")), "bad_signature");
    ASSERT_TRUE(verify.wait(seen, 5s));
    EXPECT_EQ(became(verify, token_by(new_key(), "")), "good");
}

TEST(a_fetch_that_fails, leaves_the_old_keys) {
    provider idp(old_alone());
    const verifier verify({from_url(idp.url())}, {}, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    for (const std::string& broken :
         {std::string("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), http_server::ok("<html>"),
          http_server::ok("{\"keys\":[]}"), http_server::ok(std::string(300'000, ' ')), std::string("nonsense\r\n\r\n"),
          "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + idp.url() + "\r\n\r\n"}) {
        idp.answers(broken);
        const std::uint64_t failures = verify.states().front().failures;
        EXPECT_EQ(became(verify, token_by(new_key(), "new")), "unknown_key");  // asks
        for (int i = 0; i < 100 && verify.states().front().failures == failures; ++i)
            verify.wait(verify.generation(), 100ms);
        EXPECT_GT(verify.states().front().failures, failures);
        EXPECT_NE(verify.states().front().last_failure, "");
        EXPECT_EQ(became(verify, token_by(old_key(), "old")), "good");
    }
}

TEST(fetches, are_no_closer_to_each_other_than_the_pause_whatever_tokens_say) {
    provider idp(old_alone());
    const verifier verify({from_url(idp.url(), 300ms)}, {}, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    const auto begin = std::chrono::steady_clock::now();
    int asked = 0;
    while (std::chrono::steady_clock::now() - begin < 1s) {
        const std::string id = "x" + std::to_string(asked++);
        ASSERT_EQ(became(verify, token_by(new_key(), id)), "unknown_key");
    }
    const auto passed = std::chrono::steady_clock::now() - begin;
    EXPECT_GT(asked, 20);
    EXPECT_LE(idp.requests(), 1 + passed / 300ms);
    EXPECT_GE(idp.requests(), 2) << "and asking helps";
}

TEST(a_key_that_was_asked_for_within_the_pause, is_fetched_when_it_is_over) {
    provider idp(old_alone());
    const verifier verify({from_url(idp.url(), 300ms)}, {}, test_time);
    ASSERT_TRUE(verify.wait(0, 5s));
    idp.answers(both());
    const std::uint64_t seen = verify.generation();
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "unknown_key");
    EXPECT_TRUE(verify.states().front().refreshing);
    EXPECT_EQ(verify.generation(), seen);
    ASSERT_TRUE(verify.wait(seen, 5s));
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "good");
}

TEST(keys, are_fetched_again_at_the_interval) {
    provider idp(old_alone());
    issuer_settings settings = from_url(idp.url());
    settings.refresh_interval = 50ms;
    const verifier verify({settings}, {}, test_time);
    for (int i = 0; i < 100 && idp.requests() < 3; ++i) verify.wait(verify.generation(), 100ms);
    EXPECT_GE(idp.requests(), 3);
}

TEST(a_file_of_keys, is_read_again) {
    const scratch files;
    issuer_settings settings = from_url("");
    settings.keys_file = files.file("keys", key_set_of({old_key().jwk("old")}));
    const verifier verify({settings}, {}, test_time);
    EXPECT_EQ(became(verify, token_by(old_key(), "old")), "good") << "at once";
    files.file("keys", key_set_of({new_key().jwk("new")}));
    const std::uint64_t seen = verify.generation();
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "unknown_key");
    ASSERT_TRUE(verify.wait(seen, 5s));
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "good");
    files.file("keys", "{");
    EXPECT_EQ(became(verify, token_by(old_key(), "old")), "unknown_key");
    for (int i = 0; i < 100 && verify.states().front().failures == 0; ++i) verify.wait(verify.generation(), 100ms);
    EXPECT_THAT(verify.states().front().last_failure, HasSubstr("this is not a JSON object"));
    EXPECT_EQ(became(verify, token_by(new_key(), "new")), "good") << "the file is broken: what was there stays";
}

// Why the constructor throws, or "".
std::string flaw_of(issuer_settings settings) {
    settings.name = "a";
    settings.issuer = "i";
    try {
        const verifier verify({settings}, {}, test_time);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

TEST(a_verifier, does_not_start_with_a_source_that_can_not_be_used) {
    const scratch files;
    ::unsetenv("FOZ_IDENTITY_TEST_SECRET");
    EXPECT_EQ(flaw_of({.secret_variable = "FOZ_IDENTITY_TEST_SECRET"}),
              "issuer a: the variable FOZ_IDENTITY_TEST_SECRET is not set");
    ::setenv("FOZ_IDENTITY_TEST_SECRET", "hunter2", 1);
    const std::string weak = flaw_of({.secret_variable = "FOZ_IDENTITY_TEST_SECRET"});
    EXPECT_THAT(weak, HasSubstr("at least 32 octets"));
    EXPECT_THAT(weak, testing::Not(HasSubstr("hunter2")));
    ::setenv("FOZ_IDENTITY_TEST_SECRET", std::string(32, 's').c_str(), 1);
    EXPECT_EQ(flaw_of({.secret_variable = "FOZ_IDENTITY_TEST_SECRET"}), "");
    EXPECT_THAT(flaw_of({.secret_file = "/nowhere/secret"}), HasSubstr("/nowhere/secret can't be read"));
    EXPECT_THAT(flaw_of({.keys_file = "/nowhere/keys"}), HasSubstr("/nowhere/keys: can't be read"));
    EXPECT_THAT(flaw_of({.keys_file = files.file("k", "{}")}), HasSubstr("this is not a JWK Set"));
    EXPECT_THAT(flaw_of({}), HasSubstr("where the keys are is missing"));
    issuer_settings settings{.name = "a", .issuer = "i", .secret_file = files.file("s", std::string(32, 's'))};
    EXPECT_THROW(verifier({settings, settings}, {}, test_time), std::runtime_error) << "the same issuer twice";
}

}  // namespace
}  // namespace foz::identity
