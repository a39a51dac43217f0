// Goal: the admin port lets in whoever has the right password or token, and trying costs the one who tries.
#include "base/encoding.hpp"
#include "net/shard.hpp"
#include "ops/admin/attempts.hpp"
#include "ops/admin/login.hpp"
#include "ops/admin/passwords.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::ops {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using verdict = login_result::outcome;

const std::string token(40, 't');
const auto here = boost::asio::ip::make_address("127.0.0.1");
const auto there = boost::asio::ip::make_address("192.0.2.7");

struct stepped_clock final : clock {
    steady_time now() const override { return time; }
    steady_time time{std::chrono::hours(1)};
};

std::string basic(const std::string& user, const std::string& password) {
    return "Basic " + base64(user + ":" + password);
}

struct login_fixture {
    explicit login_fixture(attempt_limits limits = {}) : asked(home, users(), limits) {}

    static std::vector<admin_user> users() {
        ::setenv("FOZ_TEST_ADMIN_TOKEN", token.c_str(), 1);
        static const std::string hash = hash_password("right");
        return {{.name = "anna", .role = admin_role::act, .password_hash = hash},
                {.name = "prometheus", .token_variable = "FOZ_TEST_ADMIN_TOKEN"}};
    }
    login_result judge(const std::string& header, const boost::asio::ip::address& from = here) {
        if (const auto at_once = asked.judge(header, from)) return *at_once;
        std::optional<login_result> result;
        asked.hash_and_judge(header, from, [&](const login_result& who) { result = who; });
        for (int i = 0; i < 2'000 && !result; ++i) {
            home.context().restart();
            home.turn();
            if (!result) std::this_thread::sleep_for(5ms);
        }
        return result.value();
    }

    stepped_clock time;
    net::shard home{0, time, system_random()};
    login asked;
};

TEST(passwords, a_hash_is_of_its_password_alone_and_salted) {
    const std::string hash = hash_password("right");
    EXPECT_TRUE(hash.starts_with("$y$")) << hash;
    EXPECT_TRUE(password_matches("right", hash));
    for (const std::string wrong : {"", "Right", "right ", "wrong"}) EXPECT_FALSE(password_matches(wrong, hash));
    EXPECT_FALSE(password_matches(std::string("right\0x", 7), hash));
    EXPECT_FALSE(password_matches("right", ""));
    EXPECT_FALSE(password_matches("right", hash.substr(0, hash.size() - 1)));
    EXPECT_NE(hash, hash_password("right"));
    EXPECT_EQ(flaw_of_password_hash(hash), "");
    EXPECT_THROW(hash_password(""), std::runtime_error);
    EXPECT_THROW(hash_password(std::string(password_octets_max + 1, 'x')), std::runtime_error);
}

TEST(passwords, what_is_no_good_hash_is_told_without_being_repeated) {
    EXPECT_EQ(flaw_of_password_hash(
                  "$6$saltsalt$8RWsOfwR6M6PpnoeQiEiWzNTPo1f0HjVYjDnLZhGx16aBFRkeqiHAzfXP/LgrOWMBMXqiU2pLrXsSOHNUyUm91"),
              "");
    for (const char* const bad : {"hunter2", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "$y$", "$y$j9T$salt", "$6$saltsalt$",
                                  "{SHA}abc", "abJnggxhB/yWI"})
        EXPECT_THAT(flaw_of_password_hash(bad),
                    testing::AllOf(HasSubstr("foz admin hash"), testing::Not(HasSubstr(bad))));
}

TEST(login, knows_a_password_and_remembers_it_for_a_while) {
    login_fixture f;
    const login_result first = f.judge(basic("anna", "right"));
    EXPECT_EQ(first.what, verdict::known);
    EXPECT_EQ(first.user, "anna");
    EXPECT_EQ(first.role, admin_role::act);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(f.asked.judge(basic("anna", "right"), there)->what, verdict::known);
    EXPECT_EQ(f.asked.hashed(), 1u);
    EXPECT_FALSE(f.asked.judge(basic("anna", "right2"), here)) << "has to be hashed";
    f.time.time += 11min;
    EXPECT_FALSE(f.asked.judge(basic("anna", "right"), here)) << "forgotten";
}

TEST(login, refuses_what_is_not_right) {
    login_fixture f({.burst = 100});
    EXPECT_EQ(f.judge("").what, verdict::anonymous);
    const std::vector<std::string> refused{basic("anna", "wrong"),
                                           basic("anna", ""),
                                           basic("nobody", "right"),
                                           basic("prometheus", "right"),
                                           basic("prometheus", token),
                                           basic("", ""),
                                           "Basic",
                                           "Basic ",
                                           "Basic !!!!",
                                           "Basic " + base64("anna"),
                                           "Bearer x",
                                           "Bearer ",
                                           "Bearer " + token + "t",
                                           "Bearer " + token.substr(1),
                                           "Digest username=\"anna\"",
                                           basic("anna", "right") + ", " + basic("anna", "right"),
                                           "Negotiate abc"};
    for (const std::string& header : refused) EXPECT_EQ(f.judge(header).what, verdict::wrong) << header;
    EXPECT_EQ(f.judge("bEARER  " + token).what, verdict::known) << "a scheme's case does not count";
}

TEST(login, limits_attempts_of_an_address_and_no_other) {
    login_fixture f({.burst = 3});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(f.judge(basic("anna", "wrong"), there).what, verdict::wrong);
    const std::uint64_t hashed = f.asked.hashed();
    const login_result limited = f.judge(basic("anna", "right"), there);
    EXPECT_EQ(limited.what, verdict::limited);
    EXPECT_GT(limited.retry_after.count(), 0);
    EXPECT_EQ(f.judge("Bearer x", there).what, verdict::limited);
    EXPECT_EQ(f.asked.hashed(), hashed) << "nothing was looked at";
    EXPECT_EQ(f.judge("Bearer " + token, there).what, verdict::known) << "nobody is locked out with a token";
    EXPECT_EQ(f.judge(basic("anna", "right"), here).what, verdict::known);
    EXPECT_EQ(f.judge(basic("anna", "right"), there).what, verdict::known) << "it is remembered by now";
    f.time.time += 7s;
    EXPECT_EQ(f.judge(basic("anna", "wrong"), there).what, verdict::wrong) << "one more";
}

TEST(login, the_same_credentials_at_the_same_time_are_one_attempt_and_one_hash) {
    login_fixture f({.burst = 2});
    std::vector<verdict> results;
    for (int i = 0; i < 50; ++i)
        f.asked.hash_and_judge(basic("anna", "right"), here,
                               [&](const login_result& who) { results.push_back(who.what); });
    EXPECT_EQ(f.judge(basic("anna", "other")).what, verdict::wrong) << "the second attempt; the first was given back";
    EXPECT_EQ(results, std::vector<verdict>(50, verdict::known));
    EXPECT_EQ(f.asked.hashed(), 2u);
}

TEST(login, too_many_passwords_at_a_time_are_not_all_hashed) {
    login_fixture f({.burst = 1'000});
    std::vector<verdict> results;
    for (int i = 0; i < 200; ++i)
        f.asked.hash_and_judge(basic("anna", std::to_string(i)), here,
                               [&](const login_result& who) { results.push_back(who.what); });
    EXPECT_GE(std::ranges::count(results, verdict::busy), 100);
}

TEST(login, a_token_that_can_be_guessed_or_read_by_nobody_is_an_error_at_the_start) {
    stepped_clock time;
    net::shard home{0, time, system_random()};
    const auto folder = std::filesystem::temp_directory_path() / ("foz_login_test." + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    const std::string file = folder / "token";
    const auto flaw = [&](const std::string& content) -> std::string {
        std::ofstream(file) << content;
        try {
            const login made(home, {{.name = "u", .token_file = file}});
        } catch (const std::runtime_error& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(flaw(token + "\n"), "");
    EXPECT_EQ(flaw(token + "\r\n"), "");
    EXPECT_THAT(flaw("short"), HasSubstr("admin_users.u: a token of 32"));
    EXPECT_THAT(flaw(""), HasSubstr("admin_users.u"));
    EXPECT_THAT(flaw(token + "\n\n"), HasSubstr("admin_users.u"));
    EXPECT_THAT(flaw(token + " x"), HasSubstr("admin_users.u"));
    EXPECT_THROW(login(home, {{.name = "u", .token_file = folder / "nothing"}}), std::runtime_error);
    EXPECT_THROW(login(home, {{.name = "u", .token_variable = "FOZ_TEST_NO_SUCH_VARIABLE"}}), std::runtime_error);
    std::filesystem::remove_all(folder);
}

TEST(attempts, are_a_bucket_for_each_address_or_network) {
    attempts all({.burst = 2, .interval = 10s});
    const steady_time now{};
    EXPECT_TRUE(all.take(here, now));
    EXPECT_TRUE(all.take(here, now));
    EXPECT_FALSE(all.take(here, now));
    EXPECT_EQ(all.pause(here, now), 10s);
    EXPECT_FALSE(all.take(boost::asio::ip::make_address("::ffff:127.0.0.1"), now)) << "the same address";
    EXPECT_TRUE(all.take(there, now));
    EXPECT_TRUE(all.take(here, now + 10s));
    EXPECT_FALSE(all.take(here, now + 10s));
    all.give_back(here);
    EXPECT_TRUE(all.take(here, now + 10s));
    EXPECT_TRUE(all.take(boost::asio::ip::make_address("2001:db8::1"), now));
    EXPECT_TRUE(all.take(boost::asio::ip::make_address("2001:db8::2"), now));
    EXPECT_FALSE(all.take(boost::asio::ip::make_address("2001:db8::3"), now)) << "one network";
    EXPECT_TRUE(all.take(boost::asio::ip::make_address("2001:db8:0:1::3"), now));
}

TEST(attempts, of_very_many_addresses_are_forgotten_from_the_oldest_on) {
    attempts all({.burst = 1, .interval = 1h, .addresses_max = 100});
    for (unsigned i = 0; i < 1'000; ++i)
        EXPECT_TRUE(all.take(boost::asio::ip::address_v4(0x0a000000u + i), steady_time{}));
    EXPECT_EQ(all.addresses(), 100u);
    EXPECT_FALSE(all.take(boost::asio::ip::address_v4(0x0a000000u + 999), steady_time{}));
    EXPECT_TRUE(all.take(boost::asio::ip::address_v4(0x0a000000u), steady_time{})) << "forgotten";
}

}  // namespace
}  // namespace foz::ops
